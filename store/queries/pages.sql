-- What the operator's page asks. {table} and {columns} are filled in from a kind's declaration.

-- name: ping
SELECT 1

-- name: registry_version
SELECT version FROM registry_version

-- name: communes
-- Each step finds the next commune in the index of (commune, kind, id).
WITH RECURSIVE found (commune) AS (
    SELECT min(commune) FROM device
    UNION
    SELECT (SELECT min(d.commune) FROM device d WHERE d.commune > found.commune) FROM found WHERE commune IS NOT NULL
)
SELECT commune FROM found WHERE commune IS NOT NULL ORDER BY commune

-- name: points
SELECT device_no, type, lat, lon, commissioned_at IS NULL FROM device WHERE kind = %(kind)s ORDER BY device_no

-- name: device
SELECT d.device_no, d.commune, d.kind, d.id, d.type, d.label, d.street, d.lat, d.lon, d.attributes, d.announced,
       d.commissioned_at, d.first_seen_at,
       d.parent_no, p.id AS parent_id, p.type AS parent_type, p.label AS parent_label,
       d.gateway_no, g.id AS gateway_id, g.type AS gateway_type, g.label AS gateway_label
FROM device d
LEFT JOIN device p ON p.device_no = d.parent_no
LEFT JOIN device g ON g.device_no = d.gateway_no
WHERE d.device_no = %(device_no)s

-- name: children
SELECT device_no, id, type, label FROM device WHERE parent_no = %(device_no)s
ORDER BY type, length(id), id LIMIT %(limit)s

-- name: neighbours
SELECT n.device_no, n.id, n.type, n.label
FROM device d JOIN device n ON n.device_no = ANY (d.neighbour_nos)
WHERE d.device_no = %(device_no)s ORDER BY length(n.id), n.id LIMIT %(limit)s

-- name: child_count
SELECT count(*) FROM device WHERE parent_no = %(device_no)s

-- name: events
SELECT ts, code, detail, time_flagged FROM event WHERE device_no = %(device_no)s AND ts >= %(since)s
ORDER BY ts DESC LIMIT %(limit)s

-- name: last_readings
SELECT ts, received_at, time_flagged, {columns} FROM {table} WHERE device_no = %(device_no)s
ORDER BY ts DESC LIMIT %(limit)s

-- name: last_values
SELECT {columns} FROM {table} WHERE device_no = %(device_no)s

-- name: history
SELECT max(ts) AS at, {columns} FROM {table}
WHERE device_no = %(device_no)s AND ts >= %(since)s AND ts <= %(until)s
GROUP BY time_bucket(%(width)s, ts) ORDER BY 1

-- name: rolled_history
SELECT ts AS at, {columns} FROM {table}
WHERE device_no = %(device_no)s AND ts >= %(since)s AND ts <= %(until)s ORDER BY ts

-- name: log_position_access
INSERT INTO position_access (at, login, device_no, from_ts, to_ts)
VALUES (now(), %(login)s, %(device_no)s, %(since)s, %(until)s)

-- name: log_positions_access
INSERT INTO position_access (at, login, device_no, from_ts, to_ts)
SELECT now(), %(login)s, device_no, %(since)s, %(until)s FROM device WHERE kind = ANY (%(kinds)s)

-- name: has_tables
SELECT to_regclass('incident') IS NOT NULL AS has_tables

-- name: listen_to_incidents
LISTEN beffroi_incident

-- name: incident_cards
SELECT i.incident_no, i.kind, i.code, i.priority, i.state, i.quiet, i.opened_at, i.acknowledged_at, i.acknowledged_by,
       i.closed_at,
       (SELECT count(DISTINCT m.device_no) FROM incident_member m
        WHERE m.incident_no = i.incident_no AND (m.until IS NULL OR i.state = 'closed')) AS members,
       i.cause_no, d.id, d.type, d.label, d.street, d.commune, d.lat, d.lon,
       p.type AS parent_type, coalesce(p.label, p.id) AS parent_label,
       i.moved_at, i.moved_by, i.moved_from, i.moved_reason
FROM incident i
JOIN device d ON d.device_no = i.cause_no
LEFT JOIN device p ON p.device_no = d.parent_no
WHERE {which}
ORDER BY {order}
LIMIT %(limit)s OFFSET %(offset)s

-- name: newest_first
i.closed_at DESC NULLS FIRST, i.priority, i.opened_at DESC, i.incident_no DESC

-- name: oldest_first
i.priority, i.opened_at, i.incident_no

-- name: closed_first
i.closed_at DESC, i.incident_no DESC

-- name: count_incidents
SELECT count(*) FROM incident i JOIN device d ON d.device_no = i.cause_no WHERE {which}

-- name: which_open
i.state <> 'closed'

-- name: which_numbers
i.incident_no = ANY (%(incident_nos)s)

-- name: which_closed
i.state = 'closed'

-- name: which_asked
(%(kinds)s::text[] = '{}' OR i.kind = ANY (%(kinds)s))
AND (%(communes)s::text[] = '{}' OR d.commune = ANY (%(communes)s))
AND (%(priority)s::int IS NULL OR i.priority = %(priority)s)
AND (%(state)s::text IS NULL OR i.state = %(state)s)
AND (%(text)s = '' OR i.code = ANY (%(codes)s::text[]) OR i.incident_no::text = %(text)s
     OR strpos(lower(concat_ws(' ', d.id, d.label, d.street)), lower(%(text)s)) > 0)

-- name: open_counts
SELECT i.kind, i.priority, count(*) FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE {which} GROUP BY i.kind, i.priority

-- name: devices_in
SELECT device_no FROM device WHERE commune = %(commune)s AND kind = %(kind)s

-- name: which_device
(i.cause_no = %(device_no)s
 OR i.incident_no IN (SELECT incident_no FROM incident_member WHERE device_no = %(device_no)s))
AND (i.state <> 'closed' OR i.opened_at >= %(since)s)

-- name: to_commission
SELECT d.device_no, d.commune, d.kind, d.id, d.type, d.announced, d.first_seen_at, t.ts, t.received_at, t.reading
FROM device d
LEFT JOIN LATERAL (
    SELECT r.ts, r.received_at, to_jsonb(r) AS reading FROM {table} r WHERE r.device_no = d.device_no
    ORDER BY r.ts DESC LIMIT 1
) t ON true
WHERE d.kind = %(kind)s AND d.commissioned_at IS NULL
ORDER BY d.first_seen_at DESC NULLS LAST, d.device_no DESC LIMIT %(limit)s

-- name: count_to_commission
SELECT count(*) FROM device WHERE commissioned_at IS NULL
