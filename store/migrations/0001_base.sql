-- What is the same for every kind of device. The kinds' own tables come from their declarations (store/schema.py).

CREATE TABLE device (
    device_no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    commune text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    type text,                          -- unknown until announced or commissioned
    parent_no integer REFERENCES device,
    gateway_no integer REFERENCES device,
    label text,
    street text,
    lat double precision,
    lon double precision,
    attributes jsonb NOT NULL DEFAULT '{}',
    announced jsonb,                    -- what the device says of itself (config topic)
    commissioned_at timestamptz,        -- null: it speaks but nobody declared it, "to commission"
    first_seen_at timestamptz,
    changed_at timestamptz NOT NULL,
    changed_version bigint NOT NULL,    -- the registry's version at its last change
    UNIQUE (commune, kind, id)
);
CREATE INDEX device_changed ON device (changed_version);
CREATE INDEX device_parent ON device (parent_no);
CREATE INDEX device_gateway ON device (gateway_no);
CREATE INDEX device_to_commission ON device (device_no) WHERE commissioned_at IS NULL;

-- One row, raised by every change of the registry, so that the worker knows what to read again. A writer locks it
-- before it changes devices, so that versions are committed in their order.
CREATE TABLE registry_version (single boolean PRIMARY KEY DEFAULT true CHECK (single), version bigint NOT NULL DEFAULT 0);
INSERT INTO registry_version DEFAULT VALUES;

-- How far each reader of a log has come, and what became of what it read. Moved by compare-and-set in the
-- transaction that writes the rows. "next_offset" is the first message not yet read.
CREATE TABLE reader (
    name text PRIMARY KEY,
    log_id uuid NOT NULL,
    next_offset bigint NOT NULL,
    messages bigint NOT NULL DEFAULT 0,             -- logged = decoded + quarantined whole + duplicates
    messages_decoded bigint NOT NULL DEFAULT 0,
    messages_quarantined bigint NOT NULL DEFAULT 0,
    messages_duplicate bigint NOT NULL DEFAULT 0,
    readings bigint NOT NULL DEFAULT 0,             -- decoded = stored + merged + duplicates + quarantined + withheld
    readings_stored bigint NOT NULL DEFAULT 0,
    readings_merged bigint NOT NULL DEFAULT 0,      -- filled what was missing in a stored row of the same key
    readings_duplicate bigint NOT NULL DEFAULT 0,
    readings_quarantined bigint NOT NULL DEFAULT 0,
    readings_withheld bigint NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL
);

CREATE TABLE event (
    device_no integer NOT NULL,
    ts timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    code text NOT NULL,
    time_flagged boolean NOT NULL DEFAULT false,    -- the device's time was impossible or absent
    detail jsonb,
    UNIQUE (device_no, ts, code)
);
SELECT create_hypertable('event', by_range('ts', INTERVAL '7 days'), create_default_indexes => false);

CREATE TABLE quarantine (
    quarantine_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    log_id uuid NOT NULL,
    log_offset bigint NOT NULL,
    part integer NOT NULL,              -- place in the message's array; -1: the whole message
    received_at timestamptz NOT NULL,
    source text NOT NULL,
    topic bytea NOT NULL,
    payload bytea NOT NULL,
    reason text NOT NULL,               -- a code, counted
    detail text NOT NULL,               -- a sentence
    UNIQUE (log_id, log_offset, part)
);
CREATE INDEX quarantine_received ON quarantine (received_at DESC);

-- One incident per (cause, code): one active row.
CREATE TABLE incident (
    incident_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cause_no integer NOT NULL REFERENCES device,
    code text NOT NULL,
    kind text NOT NULL,
    priority smallint NOT NULL CHECK (priority BETWEEN 1 AND 3),
    state text NOT NULL DEFAULT 'new'
        CHECK (state IN ('new', 'acknowledged', 'on_site', 'on_hold', 'fixed', 'closed')),
    quiet text,                         -- why nobody was called: 'replayed', 'late', 'morning_list'; null: called
    opened_at timestamptz NOT NULL,     -- event time of the fault
    detected_at timestamptz NOT NULL,   -- hub time at which the rule fired
    acknowledged_at timestamptz,
    acknowledged_by text,
    cleared_at timestamptz,             -- event time at which the fault ended; null: it goes on under another incident
    closed_at timestamptz,              -- hub time
    explanation jsonb NOT NULL          -- columns, thresholds and hold at that moment
);
CREATE INDEX incident_of ON incident (cause_no, code, opened_at);
CREATE UNIQUE INDEX incident_active ON incident (cause_no, code) WHERE state <> 'closed';
CREATE INDEX incident_opened ON incident (opened_at DESC);

-- Children whose own fault the incident explains.
CREATE TABLE incident_member (
    incident_no bigint NOT NULL REFERENCES incident ON DELETE CASCADE,
    device_no integer NOT NULL REFERENCES device,
    code text NOT NULL,
    since timestamptz NOT NULL,         -- event time of its fault
    until timestamptz,                  -- event time at which its fault ended, or the incident did
    cleared boolean NOT NULL DEFAULT false, -- its fault ended; false with an end: the fault outlived the incident
    quiet text,                         -- 'replayed', 'late' if nobody was to be called for its fault; null: live
    explanation jsonb NOT NULL,
    PRIMARY KEY (incident_no, device_no, code, since)
);
CREATE UNIQUE INDEX incident_member_on ON incident_member (device_no, code) WHERE until IS NULL;
CREATE INDEX incident_member_still ON incident_member (incident_no) WHERE until IS NULL;
CREATE INDEX incident_member_of ON incident_member (device_no, code, since);

-- Everything that happened to an incident: who, when, by what channel, why.
CREATE TABLE incident_change (
    change_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_no bigint NOT NULL REFERENCES incident ON DELETE CASCADE,
    at timestamptz NOT NULL,
    change text NOT NULL,               -- opened, member_joined, member_left, acknowledged, closed, held_back, notified ...
    who text NOT NULL DEFAULT 'beffroi',
    channel text NOT NULL DEFAULT 'hub',
    reason text
);
CREATE INDEX incident_change_of ON incident_change (incident_no, at);

-- The transactional outbox: written with the incident, sent after.
CREATE TABLE notification (
    notification_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_no bigint NOT NULL REFERENCES incident ON DELETE CASCADE,
    purpose text NOT NULL,              -- opened, closed
    channel text NOT NULL,              -- position of the URL in the settings; the URL itself holds secrets
    title text NOT NULL,
    body text NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    failed_at timestamptz,              -- given up
    last_error text,
    UNIQUE (incident_no, purpose, channel)
);
CREATE INDEX notification_pending ON notification (due_at) WHERE sent_at IS NULL AND failed_at IS NULL;

CREATE TABLE person (
    login text PRIMARY KEY,
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('operator', 'agent')),
    language text NOT NULL DEFAULT 'fr'
);

CREATE TABLE session (
    token_hash bytea PRIMARY KEY,
    login text NOT NULL REFERENCES person ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

-- Who looked at where a vehicle was, and when.
CREATE TABLE position_access (
    at timestamptz NOT NULL,
    login text NOT NULL,
    device_no integer NOT NULL REFERENCES device,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL
);
