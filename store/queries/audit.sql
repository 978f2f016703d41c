-- What the audit asks, all in one moment of the database.

-- name: begin
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: slowly
-- One core at most: others work on this server.
SELECT set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)

-- name: end
ROLLBACK

-- name: hold_removals
SELECT pg_advisory_lock_shared(%(lock)s)

-- name: let_removals
SELECT pg_advisory_unlock_shared(%(lock)s)

-- name: readers
SELECT * FROM reader ORDER BY name

-- name: devices
SELECT device_no, commune, kind, id FROM device

-- name: kinds
SELECT kind FROM (SELECT DISTINCT kind FROM device) AS k WHERE to_regclass(format('public.%I', kind)) IS NOT NULL

-- name: rows
SELECT count(*) AS rows FROM {table}

-- name: quarantined
-- What waits, by the reader that put it there.
SELECT CASE WHEN reason = 'bad_transition' THEN 'telealert' ELSE 'store' END AS name,
       count(*) FILTER (WHERE part = -1) AS whole, count(*) FILTER (WHERE part >= 0) AS parts
FROM quarantine WHERE released_at IS NULL GROUP BY 1

-- name: removed
SELECT table_name, sum(rows)::bigint AS rows FROM removal GROUP BY 1

-- name: removals
-- What may be gone of what this log holds from an offset on.
SELECT table_name, from_ts, until_ts, next_offset FROM removal
WHERE log_id = %(log_id)s AND next_offset > %(from_offset)s AND rows > 0

-- name: held
-- Which of these places are in quarantine, by themselves or with their whole message; false: no more than they were.
SELECT k.place, bool_or(q.released_at IS NULL OR q.discarded_by IS NOT NULL) AS waits
FROM unnest(%(offsets)s::bigint[], %(parts)s::int[]) WITH ORDINALITY AS k (log_offset, part, place)
JOIN quarantine q ON q.log_id = %(log_id)s AND q.log_offset = k.log_offset AND q.part IN (k.part, -1)
GROUP BY k.place

-- name: events
SELECT k.place
FROM unnest(%(devices)s::int[], %(times)s::timestamptz[], %(codes)s::text[])
    WITH ORDINALITY AS k (device_no, ts, code, place)
JOIN event e ON e.device_no = k.device_no AND e.ts = k.ts AND e.code = k.code
    AND e.ts BETWEEN %(first)s AND %(last)s

-- name: keep
WITH old AS (
    DELETE FROM audit WHERE audit_no <= (SELECT max(audit_no) FROM audit) - %(keep)s
)
INSERT INTO audit (missing, result) VALUES (%(missing)s, %(result)s)

-- name: last
SELECT extract(epoch FROM clock_timestamp() - finished_at)::float8 AS age_s, missing, result
FROM audit ORDER BY audit_no DESC LIMIT 1
