-- What a restore asks of the database, and tells it.

-- name: recovered_to
SELECT pg_last_xact_replay_timestamp() AS at;

-- name: was_told
UPDATE reader SET told_before = %(before)s WHERE name = %(name)s;

-- name: faults
-- Every fault that is on, with the priority of the incident that stands for it.
SELECT f.device_no, d.kind, f.code, f.since, f.quiet, i.priority
FROM (
    SELECT cause_no AS device_no, code, opened_at AS since, quiet, incident_no FROM incident WHERE state <> 'closed'
    UNION ALL
    SELECT device_no, code, since, quiet, incident_no FROM incident_member WHERE until IS NULL
) f JOIN incident i USING (incident_no) JOIN device d ON d.device_no = f.device_no
ORDER BY f.since, f.device_no, f.code;
