-- How far the readers of the logs have come.

-- name: claim
WITH made AS (
    INSERT INTO reader (name, log_id, next_offset, moved_at)
    VALUES (%(name)s, %(log_id)s, 0, now())
    ON CONFLICT (name) DO NOTHING
    RETURNING log_id, next_offset
)
SELECT log_id, next_offset FROM made
UNION ALL
SELECT log_id, next_offset FROM reader WHERE name = %(name)s
LIMIT 1;

-- name: adopt
UPDATE reader
SET log_id = %(log_id)s, next_offset = %(next_offset)s, messages_skipped = %(next_offset)s - messages, moved_at = now()
WHERE name = %(name)s;

-- name: told_before
SELECT told_before FROM reader WHERE name = %(name)s;

-- name: offsets
SELECT name, log_id, next_offset FROM reader;
