-- What is kept no longer.

-- name: forget_accesses
DELETE FROM position_access WHERE at < %(oldest)s;

-- name: drop
SELECT drop_chunks({table}, older_than => %(oldest)s::timestamptz);

-- name: old_chunks
SELECT chunk_schema, chunk_name, range_start, range_end FROM timescaledb_information.chunks
WHERE hypertable_schema = 'public' AND hypertable_name = %(table)s AND range_end <= %(oldest)s
ORDER BY range_end;

-- name: came_before
SELECT NOT EXISTS (SELECT FROM {chunk} WHERE received_at >= %(oldest)s) AS came_before;

-- name: came_before_counted
SELECT NOT coalesce(bool_or(received_at >= %(oldest)s), false) AS came_before, count(*) AS rows FROM {chunk};

-- name: drop_one
SELECT drop_chunks({table}, older_than => %(range_end)s::timestamptz, newer_than => %(range_start)s::timestamptz);

-- name: try_lock
SELECT pg_try_advisory_lock(%(lock)s) AS locked;

-- name: unlock
SELECT pg_advisory_unlock(%(lock)s);

-- name: hold
LOCK TABLE {chunk} IN ACCESS EXCLUSIVE MODE;

-- name: note
-- Written after the drop, which waits for the store: what the store has read by now is what can be gone.
INSERT INTO removal (at, table_name, from_ts, until_ts, rows, log_id, next_offset)
SELECT %(now)s, %(table)s, %(range_start)s, %(range_end)s, %(rows)s, r.log_id, r.next_offset
FROM (VALUES ('store')) AS wanted (name) LEFT JOIN reader r USING (name);
