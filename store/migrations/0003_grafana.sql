-- What Grafana sees: views of their own, through a role that can read nothing else. Views read with the rights of
-- their owner, so row-level security of the tables does not empty them. The views of the kinds' tables come from
-- their declarations (store/grafana.py), and so does the role's password: without one it cannot log in.

DO $$
BEGIN
    -- Roles belong to the whole server: another database of it may have made this one.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'beffroi_grafana') THEN
        CREATE ROLE beffroi_grafana LOGIN CONNECTION LIMIT 20;
        ALTER ROLE beffroi_grafana SET search_path = grafana, public;
        ALTER ROLE beffroi_grafana SET default_transaction_read_only = on;
        ALTER ROLE beffroi_grafana SET statement_timeout = '30s';
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;  -- made in the same moment
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'role % may not make roles; as administrator run: ALTER ROLE % CREATEROLE',
            current_user, quote_ident(current_user);
END $$;

CREATE SCHEMA grafana;
GRANT USAGE ON SCHEMA grafana TO beffroi_grafana;

-- No position: where a vehicle is concerns its driver, and no panel needs it.
CREATE VIEW grafana.device AS
SELECT device_no, commune, kind, id, type, parent_no, gateway_no, label, street, attributes, commissioned_at,
       first_seen_at
FROM public.device;

-- Who acknowledged is nobody's business here.
CREATE VIEW grafana.incident AS
SELECT incident_no, cause_no, code, kind, priority, state, quiet, opened_at, detected_at, acknowledged_at,
       cleared_at, closed_at
FROM public.incident;

CREATE VIEW grafana.incident_member AS
SELECT incident_no, device_no, code, since, until FROM public.incident_member;

-- Not the messages themselves.
CREATE VIEW grafana.quarantine AS
SELECT received_at, source, reason FROM public.quarantine;

CREATE VIEW grafana.reader AS
SELECT name, moved_at, messages, messages_quarantined, readings, readings_stored, readings_quarantined
FROM public.reader;

GRANT SELECT ON ALL TABLES IN SCHEMA grafana TO beffroi_grafana;
