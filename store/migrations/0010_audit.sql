-- What the audit needs to add up: what was removed on purpose, where a reader began in its log, and the last results.

ALTER TABLE reader
    ADD COLUMN began_offset bigint NOT NULL DEFAULT 0,      -- where it began in this log
    ADD COLUMN began_messages bigint NOT NULL DEFAULT 0,    -- what it had read of other logs by then
    ADD COLUMN messages_discarded bigint NOT NULL DEFAULT 0,    -- quarantined, then given up by a person
    ADD COLUMN readings_discarded bigint NOT NULL DEFAULT 0;

-- A discarded message leaves its row, so that the audit finds it, and loses its payload.
ALTER TABLE quarantine ADD COLUMN discarded_by text;

-- Rows that are gone because their time was over, by chunk; written in the transaction that drops it.
CREATE TABLE removal (
    removal_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,            -- hub time
    table_name text NOT NULL,
    from_ts timestamptz NOT NULL,       -- event time
    until_ts timestamptz NOT NULL,
    rows bigint NOT NULL,
    log_id uuid,                        -- what the store had read by then: what it reads later is not excused
    next_offset bigint
);

CREATE TABLE audit (
    audit_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    finished_at timestamptz NOT NULL DEFAULT now(),     -- real time
    missing bigint NOT NULL,
    result jsonb NOT NULL
);

-- A hub that has run begins its accounts anew: until now nobody wrote down what was removed.
UPDATE reader SET began_offset = next_offset, began_messages = messages;

UPDATE reader r SET
    messages_discarded = r.messages_quarantined - q.whole, messages_quarantined = q.whole,
    readings_discarded = r.readings_quarantined - q.parts, readings_quarantined = q.parts
FROM (
    SELECT r.name,
           count(*) FILTER (WHERE q.part = -1) AS whole,
           count(*) FILTER (WHERE q.part >= 0) AS parts
    FROM reader r LEFT JOIN quarantine q
        ON (q.reason = 'bad_transition') = (r.name = 'telealert') AND q.released_at IS NULL
    GROUP BY r.name
) AS q
WHERE q.name = r.name;

DO $$
DECLARE
    kind_name text;
    counted bigint;
    present bigint := 0;
BEGIN
    FOR kind_name IN SELECT DISTINCT kind FROM device LOOP
        IF to_regclass(format('public.%I', kind_name)) IS NOT NULL THEN
            EXECUTE format('SELECT count(*) FROM public.%I', kind_name) INTO counted;
            present := present + counted;
        END IF;
    END LOOP;
    INSERT INTO removal (at, table_name, from_ts, until_ts, rows)
    SELECT now(), 'before', '-infinity', '-infinity', readings_stored - present
    FROM reader WHERE name = 'store' AND readings_stored <> present;
END $$;
