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

-- name: drop_one
SELECT drop_chunks({table}, older_than => %(range_end)s::timestamptz, newer_than => %(range_start)s::timestamptz);
