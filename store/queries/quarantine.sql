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
WHERE {chosen} AND (q.released_at IS NOT NULL) = %(released)s AND q.discarded_by IS NULL
    AND (%(before)s::bigint IS NULL OR q.quarantine_no < %(before)s)
ORDER BY q.quarantine_no DESC LIMIT %(limit)s

-- name: forget_released
DELETE FROM quarantine WHERE released_at < %(before)s AND discarded_by IS NULL

-- name: discard
-- They leave the quarantine as if released, but for their readings; the accounts of their readers follow at once.
WITH gone AS (
    UPDATE quarantine q SET released_at = %(now)s, discarded_by = %(by)s, payload = ''
    WHERE {chosen} AND q.released_at IS NULL
    RETURNING q.reason, q.part
), counted AS (
    SELECT CASE reason WHEN 'bad_transition' THEN 'telealert' ELSE 'store' END AS name,
           count(*) FILTER (WHERE part = -1) AS whole, count(*) FILTER (WHERE part >= 0) AS parts
    FROM gone GROUP BY 1
)
UPDATE reader r SET
    messages_quarantined = r.messages_quarantined - c.whole, messages_discarded = r.messages_discarded + c.whole,
    readings_quarantined = r.readings_quarantined - c.parts, readings_discarded = r.readings_discarded + c.parts
FROM counted c WHERE c.name = r.name
RETURNING c.whole + c.parts AS discarded

-- name: held
SELECT source, reason, count(*) AS messages, sum(length(payload)) AS bytes
FROM quarantine WHERE released_at IS NULL GROUP BY source, reason

-- name: forget_excess
DELETE FROM excess WHERE last_at < %(before)s
    OR last_at < (SELECT last_at FROM excess ORDER BY last_at DESC OFFSET %(most)s LIMIT 1)
