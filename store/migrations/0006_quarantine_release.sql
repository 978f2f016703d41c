-- Releases: what was quarantined is read again after its cause was mended. Asked for by a person, done by the worker.

CREATE TABLE quarantine_release (
    release_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked_at timestamptz NOT NULL,
    asked_by text NOT NULL,
    reason text,                        -- what is to be released; null: whatever it is
    source text,
    since timestamptz,                  -- received at or after
    until timestamptz,                  -- received before
    numbers bigint[],
    up_to_no bigint NOT NULL,           -- the last message that was there when it was asked
    wanted bigint NOT NULL,             -- how many there were
    after_no bigint NOT NULL DEFAULT 0, -- tried up to here; moved by compare-and-set with the rows
    tried bigint NOT NULL DEFAULT 0,    -- tried = released + those that were refused again
    released bigint NOT NULL DEFAULT 0,
    readings_stored bigint NOT NULL DEFAULT 0,
    readings_merged bigint NOT NULL DEFAULT 0,
    readings_duplicate bigint NOT NULL DEFAULT 0,
    readings_withheld bigint NOT NULL DEFAULT 0,
    finished_at timestamptz
);
CREATE INDEX quarantine_release_open ON quarantine_release (release_no) WHERE finished_at IS NULL;

ALTER TABLE quarantine
    ADD COLUMN release_no bigint REFERENCES quarantine_release, -- the last that tried it
    ADD COLUMN released_at timestamptz;                         -- null: it is still in quarantine
CREATE INDEX quarantine_released ON quarantine (released_at) WHERE released_at IS NOT NULL;

-- From now on a part is kept as a message of its own. Until now a part that is a list was kept bare, and what was out
-- of range in the hub's own words, with its time under another name.
UPDATE quarantine SET payload = '['::bytea || payload || ']'::bytea WHERE part >= 0 AND payload LIKE '[%'::bytea;
UPDATE quarantine
SET payload = convert_to(regexp_replace(convert_from(payload, 'UTF8'), '"ts_us":(-?\d+)\d{3}', '"ts":\1'), 'UTF8')
WHERE part >= 0 AND reason = 'out_of_range' AND payload LIKE '{"id":%'::bytea;
