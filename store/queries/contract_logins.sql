-- Contracts that log in to the database themselves, through Grafana, each as its own role. Run as the hub's own role.

-- name: tenants
SELECT c.name, c.kinds, c.time_zone, c.role, (c.to_day + 1)::timestamp AT TIME ZONE c.time_zone AS ends_at,
       coalesce(c.to_day < (now() AT TIME ZONE c.time_zone)::date, false) AS is_ended,
       coalesce(r.rolcanlogin, false) AS can_log_in
FROM contract c LEFT JOIN pg_roles r ON r.rolname = c.role
ORDER BY c.name

-- name: open
ALTER ROLE {role} LOGIN CONNECTION LIMIT 10 PASSWORD {verifier} VALID UNTIL {until}

-- What follows a log-in of the role, and does not concern the API, which enters the role without one.
-- name: search_path
ALTER ROLE {role} SET search_path = delegate_grafana, delegate, public

-- name: read_only
ALTER ROLE {role} SET default_transaction_read_only = on

-- name: timeout
ALTER ROLE {role} SET statement_timeout = '30s'

-- The planner takes a contract for a handful of devices, and would read them again for each reading: 12 hours of 5,000
-- lamps then take over 30 seconds, and half a second with hashed joins.
-- name: joins
ALTER ROLE {role} SET enable_nestloop = off

-- name: enter
GRANT USAGE ON SCHEMA delegate_grafana TO {role}

-- name: read
GRANT SELECT ON delegate_grafana.device TO {role}

-- name: read_quiet
GRANT SELECT (quiet) ON incident TO {role}

-- name: limit
ALTER ROLE {role} VALID UNTIL {until}

-- name: close
ALTER ROLE {role} NOLOGIN PASSWORD NULL

-- name: become
SET LOCAL ROLE {role}

-- Run as the role itself, which may end what is its own.
-- name: end_sessions
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user
