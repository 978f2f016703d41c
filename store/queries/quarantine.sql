-- What could not be stored, and why.

-- name: counts
SELECT reason, count(*) FILTER (WHERE received_at > %(since)s) AS last_day, count(*) AS in_all, max(received_at) AS last_at
FROM quarantine WHERE released_at IS NULL GROUP BY reason ORDER BY last_day DESC, in_all DESC, reason

-- name: sources
SELECT DISTINCT source FROM quarantine WHERE released_at IS NULL ORDER BY source

-- name: chosen
-- Which messages are meant: a condition for the statements here and in release.sql.
(%(reason)s::text IS NULL OR q.reason = %(reason)s)
AND (%(source)s::text IS NULL OR q.source = %(source)s)
AND (%(since)s::timestamptz IS NULL OR q.received_at >= %(since)s)
AND (%(until)s::timestamptz IS NULL OR q.received_at < %(until)s)
AND (%(numbers)s::bigint[] IS NULL OR q.quarantine_no = ANY (%(numbers)s))

-- name: newest
SELECT q.quarantine_no, q.received_at, q.source, q.topic, substring(q.payload FOR %(limit_bytes)s) AS payload,
       length(q.payload) AS payload_bytes, q.part, q.reason, q.detail, q.released_at,
       r.asked_at AS tried_at, r.asked_by AS tried_by
FROM quarantine q LEFT JOIN quarantine_release r USING (release_no)
WHERE {chosen} AND (q.released_at IS NOT NULL) = %(released)s
    AND (%(before)s::bigint IS NULL OR q.quarantine_no < %(before)s)
ORDER BY q.quarantine_no DESC LIMIT %(limit)s

-- name: forget_released
DELETE FROM quarantine WHERE released_at < %(before)s

-- name: held
SELECT source, reason, count(*) AS messages, sum(length(payload)) AS bytes
FROM quarantine WHERE released_at IS NULL GROUP BY source, reason

-- name: forget_excess
DELETE FROM excess WHERE last_at < %(before)s
    OR last_at < (SELECT last_at FROM excess ORDER BY last_at DESC OFFSET %(most)s LIMIT 1)
