-- How the hub is doing.

-- name: readers
SELECT name, log_id, next_offset, moved_at,
       {messages_unaccounted} AS messages_unaccounted, {readings_unaccounted} AS readings_unaccounted,
       messages_over_quota, readings_over_quota
FROM reader ORDER BY name

-- name: incidents
SELECT priority, count(*) FROM incident WHERE state <> 'closed' GROUP BY priority ORDER BY priority

-- name: numbers
SELECT (SELECT count(*) FROM device WHERE commissioned_at IS NULL) AS to_commission,
       (SELECT count(*) FROM notification WHERE sent_at IS NULL AND failed_at IS NULL AND due_at < %(overdue)s)
           AS notifications_overdue,
       (SELECT min(since) FROM rollup_due) AS rollups_since,
       pg_database_size(current_database()) AS size_bytes,
       (SELECT extract(epoch FROM now() - coalesce(last_archived_time, stats_reset))::float8 FROM pg_stat_archiver
        WHERE last_failed_time > coalesce(last_archived_time, '-infinity') AND current_setting('archive_mode') <> 'off')
           AS archive_fails_s

-- name: clock
SELECT clock_timestamp() AS now

-- name: excess
SELECT source, reason, name, messages, first_at, last_at FROM excess
WHERE last_at > %(since)s ORDER BY messages DESC, source, reason, name LIMIT %(limit)s
