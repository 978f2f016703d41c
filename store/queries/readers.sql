-- How far the readers of the logs have come.

-- name: make
INSERT INTO reader (name, log_id, next_offset, moved_at)
VALUES (%(name)s, %(log_id)s, 0, now())
ON CONFLICT (name) DO NOTHING;

-- name: claim
-- Locked, so that a write of a session that was lost has ended, one way or the other, before its reader goes on.
SELECT log_id, next_offset FROM reader WHERE name = %(name)s FOR UPDATE;

-- name: adopt
UPDATE reader
SET log_id = %(log_id)s, next_offset = %(next_offset)s, moved_at = now(),
    began_offset = %(next_offset)s, began_messages = messages
WHERE name = %(name)s;

-- name: told_before
SELECT told_before FROM reader WHERE name = %(name)s;

-- name: offsets
SELECT name, log_id, next_offset FROM reader;
