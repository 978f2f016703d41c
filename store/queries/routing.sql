-- What tele-alert keeps on disk to call without the database, and what it did then, entered after.

-- name: ping
SELECT;

-- name: one_moment
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: places
-- Those that may call: commissioned, or with an incident from when they were.
SELECT device_no, kind, type, id, commune, label, street, parent_no, gateway_no, commissioned_at IS NOT NULL
FROM device d
WHERE commissioned_at IS NOT NULL OR EXISTS (SELECT FROM incident i WHERE i.cause_no = d.device_no AND state <> 'closed');

-- name: progress
-- What changes whenever the snapshot would: the registry, how far tele-alert has read, and what became of incidents.
SELECT (SELECT version FROM registry_version) AS registry_version, log_id::text, next_offset,
       coalesce((SELECT max(change_no) FROM incident_change), 0) AS last_change
FROM reader WHERE name = 'telealert';

-- name: faults
-- Every fault that is on, with the incident that stands for it. The explanations stay here: a call does not need them.
SELECT f.device_no, f.code, (extract(epoch FROM f.since) * 1000000)::bigint, f.quiet, '', i.incident_no, i.cause_no,
       i.code, i.kind, i.priority, i.quiet, (extract(epoch FROM i.opened_at) * 1000000)::bigint,
       (extract(epoch FROM i.detected_at) * 1000000)::bigint, ''
FROM (
    SELECT cause_no AS device_no, code, opened_at AS since, quiet, incident_no FROM incident WHERE state <> 'closed'
    UNION ALL
    SELECT device_no, code, since, quiet, incident_no FROM incident_member WHERE until IS NULL
) f JOIN incident i USING (incident_no);

-- name: pending
-- Calls of this priority or more urgent that did not go out yet.
SELECT i.cause_no, i.code, i.opened_at, i.detected_at, n.purpose, n.channel, n.title, n.body
FROM notification n JOIN incident i USING (incident_no)
WHERE n.sent_at IS NULL AND n.failed_at IS NULL AND i.priority <= %(priority)s
ORDER BY n.due_at, n.notification_no;

-- name: enter
-- Calls that went out while the database was away, and that it would not have made: their incident was folded into
-- another meanwhile. Those that it made are marked when their turn comes (outbox.sql).
WITH call AS (
    SELECT i.incident_no, c.purpose, c.channel, c.title, c.body, c.sent_at, c.reason
    FROM unnest(%(cause_no)s::integer[], %(code)s::text[], %(opened_at)s::timestamptz[], %(detected_at)s::timestamptz[],
        %(purpose)s::text[], %(channel)s::text[], %(title)s::text[], %(body)s::text[], %(sent_at)s::timestamptz[],
        %(reason)s::text[])
        AS c (cause_no, code, opened_at, detected_at, purpose, channel, title, body, sent_at, reason)
    JOIN incident i USING (cause_no, code, opened_at, detected_at)
), entered AS (
    INSERT INTO notification (incident_no, purpose, channel, title, body, due_at, attempts, sent_at)
    SELECT incident_no, purpose, channel, title, body, sent_at, 1, sent_at FROM call
    ON CONFLICT (incident_no, purpose, channel) DO NOTHING
    RETURNING incident_no, purpose, channel
), noted AS (
    INSERT INTO incident_change (incident_no, at, change, channel, reason)
    SELECT incident_no, sent_at, 'notified', channel, reason FROM call JOIN entered USING (incident_no, purpose, channel)
    RETURNING incident_no
)
SELECT count(pg_notify('beffroi_incident', incident_no::text)) AS entered FROM noted;

-- name: known
-- What the database knows of each of these calls, in their order.
SELECT i.incident_no, coalesce(n.sent_at, n.failed_at) IS NOT NULL AS is_over
FROM unnest(%(cause_no)s::integer[], %(code)s::text[], %(opened_at)s::timestamptz[], %(detected_at)s::timestamptz[],
    %(purpose)s::text[], %(channel)s::text[])
    WITH ORDINALITY AS c (cause_no, code, opened_at, detected_at, purpose, channel, place)
LEFT JOIN incident i USING (cause_no, code, opened_at, detected_at)
LEFT JOIN notification n ON (n.incident_no, n.purpose, n.channel) = (i.incident_no, c.purpose, c.channel)
ORDER BY c.place;
