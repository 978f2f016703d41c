-- Contracts of delegated providers, their keys, and what each may see.
--
-- A contract has a database role of its own, which owns nothing and may not log in. What it may read is in the schema
-- `delegate`: security-barrier views and bounded functions that ask `delegate.caller()` whose contract it is. Ordinary
-- tables are read under row-level security. Each kind adds its own view and functions (store/delegate_ddl.py).

CREATE TABLE contract (
    contract_no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    provider text NOT NULL,
    kinds text[] NOT NULL CHECK (cardinality(kinds) > 0),
    communes text[] NOT NULL CHECK (cardinality(communes) > 0),
    from_day date NOT NULL,
    to_day date,                            -- its last day; null: it goes on
    time_zone text NOT NULL,                -- whose days are meant
    vehicle_positions boolean NOT NULL DEFAULT false,
    household_readings text NOT NULL DEFAULT 'daily' CHECK (household_readings IN ('daily', 'all')),
    purpose text,                           -- why personal data is needed
    role name NOT NULL UNIQUE,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK (to_day >= from_day),
    CHECK (purpose <> '' OR NOT (vehicle_positions OR household_readings = 'all'))
);

-- The secret is known to its holder only: here is the SHA-256 of 256 random bits, which cannot be guessed.
CREATE TABLE api_key (
    key_no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    prefix text NOT NULL UNIQUE,
    secret_hash bytea NOT NULL,
    contract_no integer NOT NULL REFERENCES contract,
    holder text NOT NULL,                   -- who was given it
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'export']),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz
);

-- Every question that a contract asked, for the city to see, the refused ones too.
CREATE TABLE contract_access (
    access_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    contract_no integer NOT NULL REFERENCES contract,
    key_no integer NOT NULL REFERENCES api_key,
    what text NOT NULL,                     -- devices, readings, latest, incidents, export ...
    asked jsonb NOT NULL,                   -- the question's parameters
    answered_at timestamptz,                -- null: the answer broke off
    rows bigint,
    refused text                            -- why it was not answered
);
CREATE INDEX contract_access_of ON contract_access (contract_no, at DESC);

-- Which kinds carry personal data; written from the declarations.
CREATE TABLE personal_data (
    kind text NOT NULL,
    what text NOT NULL CHECK (what IN ('position', 'household')),
    types text[],                           -- the device types concerned; null: all
    PRIMARY KEY (kind, what)
);

CREATE SCHEMA delegate;

-- The role that asks, also inside a function that runs with its owner's rights, where current_user is the owner.
-- Nobody can set `role` to a role that they are not a member of, and a contract's role is a member of none.
CREATE FUNCTION delegate.caller() RETURNS name LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN CASE pg_catalog.current_setting('role')
    WHEN 'none' THEN session_user ELSE pg_catalog.current_setting('role')::name END;

CREATE VIEW delegate.my_contract WITH (security_barrier) AS
SELECT contract_no, name, provider, kinds, communes, from_day, to_day, time_zone, vehicle_positions, household_readings,
       from_day::timestamp AT TIME ZONE time_zone AS from_ts,
       coalesce((to_day + 1)::timestamp AT TIME ZONE time_zone, 'infinity') AS until_ts
FROM public.contract
WHERE role = delegate.caller();

-- The devices of the contract; where a vehicle was last is not said unless the contract says so.
CREATE VIEW delegate.device WITH (security_barrier) AS
SELECT d.device_no, d.commune, d.kind, d.id, d.type, d.parent_no, d.gateway_no, d.label, d.street,
       CASE WHEN NOT d.is_hidden THEN d.lat END AS lat, CASE WHEN NOT d.is_hidden THEN d.lon END AS lon,
       d.commissioned_at, d.from_ts, d.until_ts, d.time_zone, d.vehicle_positions, d.is_daily
FROM (
    SELECT d.device_no, d.commune, d.kind, d.id, d.type, d.parent_no, d.gateway_no, d.label, d.street, d.lat, d.lon,
           d.commissioned_at, c.from_ts, c.until_ts, c.time_zone, c.vehicle_positions,
           NOT c.vehicle_positions AND EXISTS (
               SELECT 1 FROM public.personal_data p WHERE p.kind = d.kind AND p.what = 'position'
           ) AS is_hidden,
           c.household_readings = 'daily' AND EXISTS (
               SELECT 1 FROM public.personal_data p
               WHERE p.kind = d.kind AND p.what = 'household'
                 AND (p.types IS NULL OR d.type IS NULL OR d.type = ANY (p.types))
           ) AS is_daily
    FROM public.device d
    JOIN delegate.my_contract c
        ON d.kind = ANY (c.kinds) AND d.commune = ANY (c.communes)
        AND coalesce(d.first_seen_at, d.commissioned_at) < c.until_ts
    WHERE d.commissioned_at IS NOT NULL
) d;

ALTER TABLE contract ENABLE ROW LEVEL SECURITY;
ALTER TABLE contract_access ENABLE ROW LEVEL SECURITY;
ALTER TABLE device ENABLE ROW LEVEL SECURITY;
ALTER TABLE incident ENABLE ROW LEVEL SECURITY;
ALTER TABLE incident_member ENABLE ROW LEVEL SECURITY;

CREATE POLICY own ON contract FOR SELECT USING (role = delegate.caller());
CREATE POLICY own ON contract_access FOR SELECT
    USING (contract_no IN (SELECT contract_no FROM delegate.my_contract));
CREATE POLICY own ON device FOR SELECT USING (device_no IN (SELECT device_no FROM delegate.device));
-- An incident is the contract's when its cause is, and when it was open on one of the contract's days.
CREATE POLICY own ON incident FOR SELECT USING (
    cause_no IN (SELECT device_no FROM delegate.device)
    AND EXISTS (
        SELECT 1 FROM delegate.my_contract c
        WHERE opened_at < c.until_ts AND coalesce(closed_at, 'infinity') >= c.from_ts
    )
);
CREATE POLICY own ON incident_member FOR SELECT USING (
    device_no IN (SELECT device_no FROM delegate.device)
    AND EXISTS (SELECT 1 FROM incident i WHERE i.incident_no = incident_member.incident_no)
    AND EXISTS (
        SELECT 1 FROM delegate.my_contract c
        WHERE since < c.until_ts AND coalesce(until, 'infinity') >= c.from_ts
    )
);

GRANT SELECT ON ALL TABLES IN SCHEMA delegate TO PUBLIC;

-- Make a contract's role, or give an existing one what it lacks. Granted to a contract's role and to nobody else is
-- the way into the schema; what is in there answers whoever has a contract.
CREATE FUNCTION admit_contract(admitted integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    its_role name := (SELECT role FROM contract WHERE contract_no = admitted);
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = its_role) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', its_role);
    END IF;
    EXECUTE format('GRANT %I TO CURRENT_USER WITH INHERIT FALSE, SET TRUE', its_role);
    EXECUTE format('GRANT USAGE ON SCHEMA delegate TO %I', its_role);
    EXECUTE format('GRANT SELECT ON contract, contract_access TO %I', its_role);
    EXECUTE format(
        'GRANT SELECT (device_no, commune, kind, id, type, parent_no, gateway_no, label, street, commissioned_at)'
        ' ON device TO %I', its_role);
    EXECUTE format(
        'GRANT SELECT (incident_no, cause_no, code, kind, priority, state, opened_at, detected_at, acknowledged_at,'
        ' cleared_at, closed_at) ON incident TO %I', its_role);
    EXECUTE format(
        'GRANT SELECT (incident_no, device_no, code, since, until, cleared) ON incident_member TO %I', its_role);
END
$$;
REVOKE EXECUTE ON FUNCTION admit_contract FROM PUBLIC;

-- A contract's role makes nothing: no table to shadow ours, no function that tells what it is shown.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$;
