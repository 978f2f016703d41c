-- Teams, what people do to incidents, and the figures that a city watches over time.

CREATE TABLE team (
    name text PRIMARY KEY,
    kinds text[] NOT NULL DEFAULT '{}',     -- empty: all
    communes text[] NOT NULL DEFAULT '{}'   -- empty: all
);

ALTER TABLE person ADD COLUMN team text REFERENCES team;
ALTER TABLE person ADD CONSTRAINT agent_has_team CHECK (role <> 'agent' OR team IS NOT NULL);

-- The last move that a person made, so that it can be shown and taken back.
ALTER TABLE incident ADD COLUMN moved_at timestamptz;
ALTER TABLE incident ADD COLUMN moved_by text;
ALTER TABLE incident ADD COLUMN moved_from text;    -- the state before; null once it was taken back
ALTER TABLE incident ADD COLUMN moved_reason text;
CREATE INDEX incident_closed ON incident (closed_at DESC) WHERE state = 'closed';

-- An indicator over the devices of a commune at the end of a quarter of an hour (the running one: so far). The city's
-- figure is sum(total) / sum(counted) for shares and means, sum(total) for sums.
CREATE TABLE indicator_sample (
    ts timestamptz NOT NULL,                -- beginning of the quarter
    kind text NOT NULL,
    indicator text NOT NULL,
    commune text NOT NULL,
    total double precision NOT NULL,
    counted integer NOT NULL,
    UNIQUE (kind, ts, indicator, commune)
);
SELECT create_hypertable('indicator_sample', by_range('ts', INTERVAL '30 days'), create_default_indexes => false);
