-- What is kept no longer.

-- name: forget_accesses
DELETE FROM position_access WHERE at < %(oldest)s;

-- name: drop
SELECT drop_chunks({table}, older_than => %(oldest)s::timestamptz);
