-- What is asked as a contract's role. {function}, {view} and {columns} are filled in from a kind's declaration.

-- name: enter
SET TRANSACTION READ ONLY

-- name: enter_snapshot
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: limits
SELECT set_config('statement_timeout', %(timeout)s, true), set_config('timezone', 'UTC', true)

-- name: role
SET LOCAL ROLE {role}

-- name: contract
SELECT name, provider, kinds, communes, from_day, to_day, time_zone, vehicle_positions, household_readings
FROM delegate.my_contract

-- name: devices
SELECT device_no, commune, kind, id, type, parent_no, label, street, lat, lon
FROM delegate.device
WHERE device_no > %(after)s
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(commune)s::text IS NULL OR commune = %(commune)s)
  AND (%(type)s::text IS NULL OR type = %(type)s)
  AND (%(id)s::text IS NULL OR id = %(id)s)
  AND (%(parent_no)s::integer IS NULL OR parent_no = %(parent_no)s)
ORDER BY device_no LIMIT %(limit)s

-- name: device
SELECT device_no, commune, kind, id, type, parent_no, label, street, lat, lon
FROM delegate.device WHERE device_no = %(device_no)s

-- name: known
SELECT device_no, kind FROM delegate.device WHERE device_no = ANY (%(devices)s) ORDER BY device_no

-- name: names
SELECT device_no, commune, id FROM delegate.device WHERE device_no = ANY (%(devices)s) ORDER BY device_no

-- name: readings
SELECT device_no, ts, received_at, time_flagged, {columns}
FROM {function} (%(devices)s::integer[], %(since)s, %(until)s, %(after_device)s::integer, %(after_ts)s::timestamptz,
                 %(limit)s)

-- name: points
SELECT %(device)s::integer AS device_no, ts, readings, {columns}
FROM {function} (%(device)s::integer, %(since)s, %(until)s, %(width)s)

-- name: latest
SELECT device_no, ts, received_at, time_flagged, {columns} FROM {function} (%(devices)s::integer[])

-- name: incidents
SELECT i.incident_no, i.cause_no AS device_no, d.kind, d.commune, d.id, i.code, i.priority, i.state, i.opened_at,
       i.detected_at, i.acknowledged_at, i.cleared_at, i.closed_at,
       ARRAY(SELECT DISTINCT m.device_no FROM incident_member m WHERE m.incident_no = i.incident_no ORDER BY 1)
           AS member_nos
FROM incident i JOIN device d ON d.device_no = i.cause_no
WHERE i.incident_no < %(before)s
  AND (%(kind)s::text IS NULL OR i.kind = %(kind)s)
  AND (%(device_no)s::integer IS NULL OR i.cause_no = %(device_no)s)
  AND (%(is_open)s::boolean IS NULL OR (i.state <> 'closed') = %(is_open)s)
  AND (%(since)s::timestamptz IS NULL OR coalesce(i.closed_at, 'infinity') >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR i.opened_at < %(until)s)
ORDER BY i.incident_no DESC LIMIT %(limit)s
