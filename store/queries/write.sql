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

-- name: give_way
-- The oldest samples, in favour of newer ones.
DELETE FROM quarantine WHERE quarantine_no IN (
    SELECT quarantine_no FROM quarantine
    WHERE source = %(source)s AND reason = %(reason)s AND released_at IS NULL
    ORDER BY quarantine_no LIMIT %(count)s
)
RETURNING part;

-- name: excess
-- A spell ends after an hour of rest; then it is counted anew.
INSERT INTO excess (source, reason, name, messages, first_at, last_at)
VALUES (%(source)s, %(reason)s, %(name)s, %(messages)s, %(now)s, %(now)s)
ON CONFLICT (source, reason, name) DO UPDATE SET
    messages = excluded.messages
        + CASE WHEN excess.last_at < excluded.last_at - interval '1 hour' THEN 0 ELSE excess.messages END,
    first_at = CASE
        WHEN excess.last_at < excluded.last_at - interval '1 hour' THEN excluded.first_at ELSE excess.first_at
    END,
    last_at = excluded.last_at;
