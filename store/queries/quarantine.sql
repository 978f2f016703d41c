-- What could not be stored, and why.

-- name: counts
SELECT reason, count(*) FILTER (WHERE received_at > %(since)s) AS last_day, count(*) AS in_all, max(received_at) AS last_at
FROM quarantine GROUP BY reason ORDER BY last_day DESC, in_all DESC, reason

-- name: newest
SELECT quarantine_no, received_at, source, topic, substring(payload FOR %(limit_bytes)s) AS payload,
       length(payload) AS payload_bytes, part, reason, detail
FROM quarantine
WHERE (%(reason)s::text IS NULL OR reason = %(reason)s) AND (%(before)s::bigint IS NULL OR quarantine_no < %(before)s)
ORDER BY quarantine_no DESC LIMIT %(limit)s
