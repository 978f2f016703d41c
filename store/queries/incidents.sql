-- Incidents as people see and answer them. The decisions' own statements are in incident_batch.sql.

-- name: open_by_code
SELECT code, count(*) AS devices FROM incident WHERE kind = %(kind)s AND closed_at IS NULL GROUP BY code;

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

-- name: move
-- A person who closes ends the memberships too: nothing of it is watched any more until it fires again.
WITH before AS (
    SELECT incident_no, state FROM incident
    WHERE incident_no = %(incident_no)s AND state = ANY (%(allowed)s) FOR UPDATE
), moved AS (
    UPDATE incident i SET state = %(to)s,
        acknowledged_at = coalesce(i.acknowledged_at, %(now)s), acknowledged_by = coalesce(i.acknowledged_by, %(login)s),
        moved_at = %(now)s, moved_by = %(login)s, moved_from = before.state, moved_reason = %(reason)s,
        closed_at = CASE WHEN %(to)s = 'closed' THEN %(now)s::timestamptz END
    FROM before WHERE i.incident_no = before.incident_no
    RETURNING i.incident_no
), noted AS (
    INSERT INTO incident_change (incident_no, at, change, who, channel, reason)
    SELECT incident_no, %(now)s, %(to)s, %(login)s, %(channel)s, %(reason)s FROM moved
), ended AS (
    UPDATE incident_member m SET until = %(now)s FROM moved
    WHERE m.incident_no = moved.incident_no AND m.until IS NULL AND %(to)s = 'closed'
)
SELECT pg_notify('beffroi_incident', incident_no::text) FROM moved;

-- name: take_back
WITH before AS (
    SELECT incident_no, moved_from FROM incident
    WHERE incident_no = %(incident_no)s AND state <> 'closed' AND moved_from IS NOT NULL AND moved_by = %(login)s
        AND moved_at >= %(not_before)s FOR UPDATE
), moved AS (
    UPDATE incident i SET state = before.moved_from, moved_from = NULL, moved_reason = NULL,
        acknowledged_at = CASE WHEN before.moved_from <> 'new' THEN i.acknowledged_at END,
        acknowledged_by = CASE WHEN before.moved_from <> 'new' THEN i.acknowledged_by END
    FROM before WHERE i.incident_no = before.incident_no
    RETURNING i.incident_no
), noted AS (
    INSERT INTO incident_change (incident_no, at, change, who, channel)
    SELECT incident_no, %(now)s, 'taken_back', %(login)s, %(channel)s FROM moved
)
SELECT pg_notify('beffroi_incident', incident_no::text) FROM moved;
