-- Incidents as people see and answer them. The decisions' own statements are in incident_batch.sql.

-- name: open
SELECT i.incident_no, i.code, i.kind, i.priority, i.state, i.quiet, i.opened_at, i.detected_at, i.acknowledged_at,
       i.acknowledged_by, i.cleared_at, i.closed_at, i.explanation, i.cause_no AS device_no, d.id AS device_id,
       d.type AS device_type, d.label AS device_label, d.street, d.commune, d.lat, d.lon,
       (SELECT count(DISTINCT m.device_no) FROM incident_member m
        WHERE m.incident_no = i.incident_no AND m.until IS NULL) AS member_count
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE i.state <> 'closed'
ORDER BY i.priority, i.opened_at DESC, i.incident_no DESC
LIMIT %(limit)s;

-- name: one
SELECT i.incident_no, i.code, i.kind, i.priority, i.state, i.quiet, i.opened_at, i.detected_at, i.acknowledged_at,
       i.acknowledged_by, i.cleared_at, i.closed_at, i.explanation, i.cause_no AS device_no, d.id AS device_id,
       d.type AS device_type, d.label AS device_label, d.street, d.commune, d.lat, d.lon,
       (SELECT count(DISTINCT m.device_no) FROM incident_member m
        WHERE m.incident_no = i.incident_no
        AND (m.until IS NULL OR i.state = 'closed')) AS member_count
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE i.incident_no = %(incident_no)s;

-- name: members
SELECT m.device_no, m.code, m.since, m.until, m.cleared, d.id AS device_id, d.type AS device_type,
       d.label AS device_label, d.street, d.commune, d.lat, d.lon
FROM incident_member m JOIN device d USING (device_no)
WHERE m.incident_no = %(incident_no)s
ORDER BY m.until IS NOT NULL, d.id, m.code, m.since;

-- name: changes
SELECT change_no, at, change, who, channel, reason
FROM incident_change WHERE incident_no = %(incident_no)s ORDER BY change_no;

-- name: acknowledge
WITH moved AS (
    UPDATE incident SET state = 'acknowledged', acknowledged_at = %(now)s, acknowledged_by = %(login)s
    WHERE incident_no = %(incident_no)s AND state = 'new'
    RETURNING incident_no
), noted AS (
    INSERT INTO incident_change (incident_no, at, change, who, channel)
    SELECT incident_no, %(now)s, 'acknowledged', %(login)s, %(channel)s FROM moved
)
SELECT pg_notify('beffroi_incident', incident_no::text) FROM moved;

-- name: unacknowledge
WITH moved AS (
    UPDATE incident SET state = 'new', acknowledged_at = NULL, acknowledged_by = NULL
    WHERE incident_no = %(incident_no)s AND state = 'acknowledged' AND acknowledged_by = %(login)s
      AND acknowledged_at >= %(not_before)s
    RETURNING incident_no
), noted AS (
    INSERT INTO incident_change (incident_no, at, change, who, channel)
    SELECT incident_no, %(now)s, 'unacknowledged', %(login)s, %(channel)s FROM moved
)
SELECT pg_notify('beffroi_incident', incident_no::text) FROM moved;
