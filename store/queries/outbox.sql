-- The transactional outbox of notifications.

-- name: post
INSERT INTO notification (incident_no, purpose, channel, title, body, due_at)
SELECT * FROM unnest(%(incident_no)s::bigint[], %(purpose)s::text[], %(channel)s::text[], %(title)s::text[],
    %(body)s::text[], %(due_at)s::timestamptz[])
ON CONFLICT (incident_no, purpose, channel) DO NOTHING;

-- name: withdraw
-- Those that somebody sends at this moment are left: they go out.
DELETE FROM notification WHERE notification_no IN (
    SELECT notification_no FROM notification
    WHERE incident_no = ANY(%(incident_nos)s::bigint[]) AND sent_at IS NULL AND failed_at IS NULL
    FOR UPDATE SKIP LOCKED
);

-- name: next_due
SELECT n.notification_no, n.incident_no, n.purpose, n.title, n.body, n.attempts,
       i.cause_no, i.code, i.opened_at, i.detected_at
FROM notification n JOIN incident i USING (incident_no)
WHERE n.channel = %(channel)s AND n.due_at <= %(now)s AND n.sent_at IS NULL AND n.failed_at IS NULL
ORDER BY n.due_at, n.notification_no
LIMIT 1
FOR UPDATE OF n SKIP LOCKED;

-- name: sent
UPDATE notification SET sent_at = %(now)s, attempts = attempts + 1, last_error = NULL
WHERE notification_no = %(notification_no)s;

-- name: retry
UPDATE notification SET due_at = %(due_at)s, attempts = attempts + 1, last_error = %(error)s
WHERE notification_no = %(notification_no)s;

-- name: give_up
UPDATE notification SET failed_at = %(now)s, attempts = attempts + 1, last_error = %(error)s
WHERE notification_no = %(notification_no)s;

-- name: note
INSERT INTO incident_change (incident_no, at, change, channel, reason)
VALUES (%(incident_no)s, %(now)s, %(change)s, %(channel)s, %(reason)s);

-- name: tell
SELECT pg_notify('beffroi_incident', %(incident_no)s::bigint::text);

-- name: orphans
-- Notifications for a channel that the settings no longer have.
WITH given_up AS (
    UPDATE notification SET failed_at = %(now)s, last_error = %(error)s
    WHERE sent_at IS NULL AND failed_at IS NULL AND channel <> ALL(%(channels)s::text[])
    RETURNING incident_no, channel
)
INSERT INTO incident_change (incident_no, at, change, channel, reason)
SELECT incident_no, %(now)s, 'not_notified', channel, %(error)s FROM given_up;
