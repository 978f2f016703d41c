-- Devices that nobody declared are forgotten.

-- name: chosen
-- Which devices are meant. Whom an incident, an access or another device speaks of stays.
d.commissioned_at IS NULL AND d.id LIKE %(pattern)s
AND (%(kind)s::text IS NULL OR d.kind = %(kind)s)
AND (%(commune)s::text IS NULL OR d.commune = %(commune)s)
AND NOT EXISTS (SELECT FROM device c WHERE c.parent_no = d.device_no OR c.gateway_no = d.device_no)
AND NOT EXISTS (SELECT FROM incident i WHERE i.cause_no = d.device_no)
AND NOT EXISTS (SELECT FROM incident_member m WHERE m.device_no = d.device_no)
AND NOT EXISTS (SELECT FROM position_access a WHERE a.device_no = d.device_no)

-- name: count
SELECT count(*) AS devices, min(d.id) AS first_id, max(d.id) AS last_id FROM device d WHERE {chosen}

-- name: ask
INSERT INTO device_forget (asked_at, asked_by, pattern, kind, commune)
VALUES (%(now)s, %(by)s, %(pattern)s, %(kind)s, %(commune)s)
RETURNING forget_no

-- name: state
SELECT forgotten, finished_at FROM device_forget WHERE forget_no = %(forget_no)s

-- name: open
SELECT forget_no, pattern, kind, commune FROM device_forget WHERE finished_at IS NULL ORDER BY forget_no LIMIT 1

-- name: forget
DELETE FROM device WHERE device_no IN (SELECT d.device_no FROM device d WHERE {chosen} LIMIT %(limit)s)
RETURNING device_no, kind

-- name: forget_latest
DELETE FROM {table} WHERE device_no = ANY (%(devices)s)

-- name: move
UPDATE device_forget SET forgotten = forgotten + %(count)s, finished_at = CASE WHEN %(finished)s THEN %(now)s END
WHERE forget_no = %(forget_no)s
