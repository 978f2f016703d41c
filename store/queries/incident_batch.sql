-- What tele-alert reads and writes for one batch of transitions: a few statements, however large the batch.

-- name: places
-- The devices concerned and everything above them. Concerned are those of the batch, those at fault below one whose
-- firing explains faults below it, and the members of incidents that the batch may close or fold.
WITH RECURSIVE below (device_no) AS (
    SELECT unnest(%(explaining)s::integer[])
    UNION
    SELECT child.device_no FROM below CROSS JOIN LATERAL (
        SELECT device_no FROM device WHERE parent_no = below.device_no
        UNION ALL
        SELECT device_no FROM device WHERE gateway_no = below.device_no
    ) child
), cause (device_no) AS (
    SELECT unnest(%(devices)s::integer[]) UNION SELECT device_no FROM below
), concerned (device_no) AS (
    SELECT unnest(%(devices)s::integer[])
    UNION
    SELECT below.device_no FROM below JOIN incident i ON i.cause_no = below.device_no AND i.state <> 'closed'
    UNION
    SELECT m.device_no FROM cause JOIN incident i ON i.cause_no = cause.device_no AND i.state <> 'closed'
        JOIN incident_member m ON m.incident_no = i.incident_no AND m.until IS NULL
), above (device_no, parent_no, gateway_no) AS (
    SELECT d.device_no, d.parent_no, d.gateway_no FROM concerned JOIN device d USING (device_no)
    UNION
    SELECT d.device_no, d.parent_no, d.gateway_no FROM above
        JOIN device d ON d.device_no IN (above.parent_no, above.gateway_no)
)
SELECT d.device_no, d.parent_no, d.gateway_no, d.commissioned_at IS NOT NULL AS commissioned,
       d.kind, d.type, d.id, d.label, d.street, d.commune
FROM above JOIN device d USING (device_no);

-- name: faults
-- Every fault that is on at these devices, with the incident that stands for it: its own or one that explains it.
SELECT f.device_no, f.code, f.since, f.quiet, f.explanation::text AS explanation, i.incident_no AS number, i.cause_no,
       i.code AS cause_code, i.kind, i.priority, i.quiet AS incident_quiet, i.opened_at, i.detected_at,
       i.explanation::text AS incident_explanation
FROM (
    SELECT cause_no AS device_no, code, opened_at AS since, quiet, explanation, incident_no
    FROM incident WHERE state <> 'closed' AND cause_no = ANY(%(devices)s::integer[])
    UNION ALL
    SELECT device_no, code, since, quiet, explanation, incident_no
    FROM incident_member WHERE until IS NULL AND device_no = ANY(%(devices)s::integer[])
) f JOIN incident i USING (incident_no);

-- name: ended
-- Which of these firings and clearings belong to a fault that already ended: they come a second time.
SELECT t.device_no, t.code, t.action, t.ts
FROM unnest(%(device_no)s::integer[], %(code)s::text[], %(action)s::text[], %(ts)s::timestamptz[])
    AS t (device_no, code, action, ts)
WHERE EXISTS (
    SELECT FROM incident i WHERE i.cause_no = t.device_no AND i.code = t.code AND i.cleared_at IS NOT NULL
        AND t.ts = CASE t.action WHEN 'fire' THEN i.opened_at ELSE i.cleared_at END
) OR EXISTS (
    SELECT FROM incident_member m WHERE m.device_no = t.device_no AND m.code = t.code AND m.cleared
        AND t.ts = CASE t.action WHEN 'fire' THEN m.since ELSE m.until END
);

-- name: served
-- How many commissioned devices hang below each of these, by type.
WITH RECURSIVE below (top_no, device_no) AS (
    SELECT device_no, device_no FROM unnest(%(devices)s::integer[]) AS top (device_no)
    UNION
    SELECT below.top_no, child.device_no FROM below CROSS JOIN LATERAL (
        SELECT device_no FROM device WHERE parent_no = below.device_no
        UNION ALL
        SELECT device_no FROM device WHERE gateway_no = below.device_no
    ) child
)
SELECT below.top_no AS device_no, d.type, count(*) AS devices
FROM below JOIN device d USING (device_no)
WHERE below.device_no <> below.top_no AND d.type IS NOT NULL AND d.commissioned_at IS NOT NULL
GROUP BY below.top_no, d.type;

-- name: numbers
SELECT nextval(pg_get_serial_sequence('incident', 'incident_no')) AS incident_no
FROM generate_series(1, %(count)s);

-- name: update_incidents
-- The state is only ever closed from here: a person may have moved it meanwhile.
UPDATE incident i SET quiet = n.quiet, priority = n.priority, explanation = n.explanation::jsonb,
    cleared_at = n.cleared_at, closed_at = n.closed_at,
    state = CASE WHEN n.closed_at IS NULL THEN i.state ELSE 'closed' END
FROM unnest(%(incident_no)s::bigint[], %(quiet)s::text[], %(priority)s::smallint[], %(explanation)s::text[],
    %(cleared_at)s::timestamptz[], %(closed_at)s::timestamptz[])
    AS n (incident_no, quiet, priority, explanation, cleared_at, closed_at)
WHERE i.incident_no = n.incident_no;

-- name: insert_incidents
INSERT INTO incident (incident_no, cause_no, code, kind, priority, state, quiet, opened_at, detected_at, cleared_at,
    closed_at, explanation)
OVERRIDING SYSTEM VALUE
SELECT incident_no, cause_no, code, kind, priority, CASE WHEN closed_at IS NULL THEN 'new' ELSE 'closed' END, quiet,
    opened_at, detected_at, cleared_at, closed_at, explanation::jsonb
FROM unnest(%(incident_no)s::bigint[], %(cause_no)s::integer[], %(code)s::text[], %(kind)s::text[],
    %(priority)s::smallint[], %(quiet)s::text[], %(opened_at)s::timestamptz[], %(detected_at)s::timestamptz[],
    %(cleared_at)s::timestamptz[], %(closed_at)s::timestamptz[], %(explanation)s::text[])
    AS n (incident_no, cause_no, code, kind, priority, quiet, opened_at, detected_at, cleared_at, closed_at, explanation);

-- name: put_members
INSERT INTO incident_member (incident_no, device_no, code, since, until, cleared, quiet, explanation)
SELECT incident_no, device_no, code, since, until, cleared, quiet, explanation::jsonb
FROM unnest(%(incident_no)s::bigint[], %(device_no)s::integer[], %(code)s::text[], %(since)s::timestamptz[],
    %(until)s::timestamptz[], %(cleared)s::boolean[], %(quiet)s::text[], %(explanation)s::text[])
    AS n (incident_no, device_no, code, since, until, cleared, quiet, explanation)
ON CONFLICT (incident_no, device_no, code, since) DO UPDATE
    SET until = excluded.until, cleared = excluded.cleared, quiet = excluded.quiet;

-- name: insert_changes
INSERT INTO incident_change (incident_no, at, change, reason)
SELECT * FROM unnest(%(incident_no)s::bigint[], %(at)s::timestamptz[], %(change)s::text[], %(reason)s::text[]);

-- name: tell
SELECT count(pg_notify('beffroi_incident', n::text)) FROM unnest(%(incident_no)s::bigint[]) AS n;

-- name: insert_unreadable
INSERT INTO quarantine (log_id, log_offset, part, received_at, source, topic, payload, reason, detail)
VALUES (%(log_id)s, %(log_offset)s, -1, %(now)s, 'rules', '', %(payload)s, 'bad_transition', %(detail)s)
ON CONFLICT DO NOTHING;
