-- The store's write.

-- name: newest
SELECT d.device_no, newest.ts
FROM unnest(%(devices)s::int[]) AS d (device_no)
CROSS JOIN LATERAL (
    SELECT ts FROM {table} t WHERE t.device_no = d.device_no ORDER BY ts DESC LIMIT 1
) AS newest;

-- name: event
INSERT INTO event (device_no, ts, received_at, code, time_flagged, detail)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (device_no, ts, code) DO NOTHING;

-- name: quarantine
INSERT INTO quarantine (log_id, log_offset, part, received_at, source, topic, payload, reason, detail)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (log_id, log_offset, part) DO NOTHING;

-- name: first_seen
UPDATE device SET first_seen_at = %(now)s WHERE device_no = ANY (%(devices)s) AND first_seen_at IS NULL;
