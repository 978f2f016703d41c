-- How the hub is doing.

-- name: readers
SELECT name, log_id, next_offset, moved_at,
       messages - (messages_decoded + messages_quarantined + messages_duplicate + messages_over_quota)
           AS messages_unaccounted,
       readings - (readings_stored + readings_merged + readings_duplicate + readings_quarantined + readings_withheld
           + readings_over_quota)
           AS readings_unaccounted,
       messages_over_quota, readings_over_quota
FROM reader ORDER BY name

-- name: incidents
SELECT priority, count(*) FROM incident WHERE state <> 'closed' GROUP BY priority ORDER BY priority

-- name: numbers
SELECT (SELECT count(*) FROM device WHERE commissioned_at IS NULL) AS to_commission,
       (SELECT count(*) FROM notification WHERE sent_at IS NULL AND failed_at IS NULL AND due_at < %(overdue)s)
           AS notifications_overdue,
       (SELECT min(since) FROM rollup_due) AS rollups_since,
       pg_database_size(current_database()) AS size_bytes

-- name: clock
SELECT clock_timestamp() AS now

-- name: excess
SELECT source, reason, name, messages, first_at, last_at FROM excess
WHERE last_at > %(since)s ORDER BY messages DESC, source, reason, name LIMIT %(limit)s
