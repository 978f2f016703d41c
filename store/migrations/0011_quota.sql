-- What is over a limit is counted and sampled. Messages logged = decoded + quarantined whole + duplicates + over quota;
-- readings decoded = stored + merged + duplicates + quarantined + withheld + over quota.

ALTER TABLE reader
    ADD COLUMN messages_over_quota bigint NOT NULL DEFAULT 0,
    ADD COLUMN readings_over_quota bigint NOT NULL DEFAULT 0;  -- also events and announcements of strangers too many

-- Who is beyond which limit: a row for each spell, which ends after an hour of rest.
CREATE TABLE excess (
    source text NOT NULL,
    reason text NOT NULL,               -- over_quota, too_many_strangers, quarantine_full
    name text NOT NULL,                 -- the topic; the kind of the strangers; the reason of the full quarantine
    messages bigint NOT NULL,           -- messages, or parts of some, in this spell, samples included
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (source, reason, name)
);
CREATE INDEX excess_last ON excess (last_at);

CREATE INDEX quarantine_waiting ON quarantine (source, reason, quarantine_no) WHERE released_at IS NULL;

-- Devices that nobody declared, to be forgotten by their names. Asked for by a person, done by the worker.
CREATE TABLE device_forget (
    forget_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked_at timestamptz NOT NULL,
    asked_by text NOT NULL,
    pattern text NOT NULL,              -- LIKE's, of the id
    kind text,                          -- null: any
    commune text,
    forgotten integer NOT NULL DEFAULT 0,
    finished_at timestamptz
);
CREATE INDEX device_forget_open ON device_forget (forget_no) WHERE finished_at IS NULL;
CREATE INDEX position_access_of ON position_access (device_no); -- for the check that nothing speaks of who is forgotten
