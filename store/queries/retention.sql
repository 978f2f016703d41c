-- What is kept no longer.

-- name: drop
SELECT drop_chunks({table}, older_than => %(oldest)s::timestamptz);
