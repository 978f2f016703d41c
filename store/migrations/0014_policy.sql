-- What a city decides about rules: rules of its own and other thresholds, with every change that led there.

CREATE TABLE policy_version (
    version bigint PRIMARY KEY,         -- 1, 2, 3, ... without a gap
    at timestamptz NOT NULL,
    who text NOT NULL,
    what text NOT NULL,                 -- save_rule, remove_rule, set_override, clear_override, undo
    undoes bigint REFERENCES policy_version,
    changes jsonb NOT NULL              -- [{"kind", "code", "threshold", "scope", "place", "before", "after"}], see store/policy.py
);

CREATE TABLE own_rule (
    kind text NOT NULL,
    code text NOT NULL,
    rule jsonb NOT NULL,                -- devices.own_rule.OwnRule
    is_removed boolean NOT NULL DEFAULT false,  -- its incidents still need its words
    PRIMARY KEY (kind, code)
);

CREATE TABLE rule_override (
    kind text NOT NULL,
    code text NOT NULL,
    threshold text NOT NULL,
    scope text NOT NULL,
    place text NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (kind, code, threshold, scope, place)
);

ALTER TABLE device ADD COLUMN model text;   -- what the maker calls it
