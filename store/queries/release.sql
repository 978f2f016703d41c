-- Releases from the quarantine. What tele-alert could not read (bad_transition) is no message of a source: it stays.

-- name: waiting
SELECT q.reason, count(*) AS waiting, max(q.quarantine_no) AS last_no
FROM quarantine q
WHERE {chosen} AND q.released_at IS NULL AND q.reason <> 'bad_transition'
    AND (%(up_to_no)s::bigint IS NULL OR q.quarantine_no <= %(up_to_no)s)
GROUP BY q.reason ORDER BY waiting DESC, q.reason

-- name: ask
INSERT INTO quarantine_release (asked_at, asked_by, reason, source, since, until, numbers, up_to_no, wanted)
VALUES (%(now)s, %(by)s, %(reason)s, %(source)s, %(since)s, %(until)s, %(numbers)s, %(up_to_no)s, %(wanted)s)
RETURNING release_no

-- name: release
SELECT * FROM quarantine_release WHERE release_no = %(release_no)s

-- name: last
SELECT * FROM quarantine_release ORDER BY release_no DESC LIMIT %(limit)s

-- name: open
SELECT * FROM quarantine_release WHERE finished_at IS NULL ORDER BY release_no LIMIT 1

-- name: held
-- The next ones, at most so many and so many bytes of them; the first in any case.
SELECT quarantine_no, log_id, log_offset, part, received_at, source, topic, payload
FROM quarantine
WHERE quarantine_no IN (
    SELECT quarantine_no FROM (
        SELECT q.quarantine_no, sum(length(q.payload)) OVER (ORDER BY q.quarantine_no) - length(q.payload) AS bytes_before
        FROM quarantine q
        WHERE {chosen} AND q.released_at IS NULL AND q.reason <> 'bad_transition'
            AND q.quarantine_no > %(after_no)s AND q.quarantine_no <= %(up_to_no)s
        ORDER BY q.quarantine_no LIMIT %(limit)s
    ) AS next WHERE bytes_before < %(limit_bytes)s
)
ORDER BY quarantine_no
FOR UPDATE

-- name: release_held
UPDATE quarantine SET released_at = %(now)s, release_no = %(release_no)s WHERE quarantine_no = ANY (%(numbers)s)

-- name: refuse_again
UPDATE quarantine SET reason = %s, detail = %s, release_no = %s WHERE quarantine_no = %s

-- name: refuse_part
INSERT INTO quarantine (log_id, log_offset, part, received_at, source, topic, payload, reason, detail, release_no)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)

-- name: move
UPDATE quarantine_release
SET after_no = %(to_no)s, tried = tried + %(tried)s, released = released + %(released)s,
    readings_stored = readings_stored + %(readings_stored)s,
    readings_merged = readings_merged + %(readings_merged)s,
    readings_duplicate = readings_duplicate + %(readings_duplicate)s,
    readings_withheld = readings_withheld + %(readings_withheld)s
WHERE release_no = %(release_no)s AND after_no = %(from_no)s AND finished_at IS NULL

-- name: finish
UPDATE quarantine_release SET finished_at = %(now)s WHERE release_no = %(release_no)s

-- name: refused_again
SELECT reason, count(*) AS waiting FROM quarantine WHERE release_no = %(release_no)s AND released_at IS NULL
GROUP BY reason ORDER BY waiting DESC, reason
