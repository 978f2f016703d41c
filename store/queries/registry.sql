-- The registry of devices: import, announcements, and what the worker reads.

-- name: version
SELECT version FROM registry_version;

-- name: next_version
SELECT version + 1 AS version FROM registry_version FOR UPDATE;

-- name: raise_version
UPDATE registry_version SET version = %(version)s;

-- name: load
SELECT device_no, commune, kind, id, type, parent_no, gateway_no, lat, lon, commissioned_at IS NOT NULL,
    nullif(attributes, '{}')::text, model
FROM device
WHERE changed_version > %(since)s
ORDER BY kind COLLATE "C", device_no;

-- name: export
SELECT d.commune, d.kind, d.id, d.type, p.id AS parent, g.id AS gateway, d.lat, d.lon, d.label, d.street, d.model,
    d.attributes::text AS attributes,
    ARRAY(SELECT n.commune || '/' || n.id FROM device n WHERE n.device_no = ANY (d.neighbour_nos) ORDER BY 1)
        AS neighbours
FROM device d
LEFT JOIN device p ON p.device_no = d.parent_no
LEFT JOIN device g ON g.device_no = d.gateway_no
WHERE d.commissioned_at IS NOT NULL
    AND (%(kind)s::text IS NULL OR d.kind = %(kind)s)
    AND (%(commune)s::text IS NULL OR d.commune = %(commune)s)
ORDER BY d.device_no;

-- name: lock
LOCK TABLE device IN SHARE ROW EXCLUSIVE MODE;

-- name: incoming
CREATE TEMP TABLE incoming (
    line integer, commune text, kind text, id text, type text, parent_type text, parent text, gateway text,
    lat double precision, lon double precision, label text, street text, model text, attributes jsonb, neighbours text[],
    device_no integer, parent_no integer, gateway_no integer, neighbour_nos integer[] NOT NULL DEFAULT '{}'
) ON COMMIT DROP;

-- name: copy
COPY incoming (line, commune, kind, id, type, parent_type, parent, gateway, lat, lon, label, street, model,
    attributes, neighbours)
FROM STDIN;

-- name: index
-- The planner takes commune, kind and id for independent and thinks a match rare: without this it loops over all.
CREATE UNIQUE INDEX incoming_key ON incoming (commune, kind, id);

-- name: analyze
ANALYZE incoming;

-- name: misplaced
-- Rows whose parent or gateway is neither in the file nor in the registry, or whose parent is of another type.
WITH judged AS (
    SELECT i.line, i.commune, i.kind, i.id, i.type, i.parent, i.parent_type, i.gateway,
        p.id IS NOT NULL OR dp.id IS NOT NULL AS parent_known,
        coalesce(p.type, dp.type) AS parent_is
    FROM incoming i
    LEFT JOIN incoming p ON (p.commune, p.kind, p.id) = (i.commune, i.kind, i.parent)
    LEFT JOIN incoming g ON (g.commune, g.kind, g.id) = (i.commune, i.kind, i.gateway)
    LEFT JOIN device dp ON (dp.commune, dp.kind, dp.id) = (i.commune, i.kind, i.parent)
    LEFT JOIN device dg ON (dg.commune, dg.kind, dg.id) = (i.commune, i.kind, i.gateway)
    WHERE i.parent IS NOT NULL AND coalesce(p.type, dp.type) IS DISTINCT FROM i.parent_type
        OR i.gateway IS NOT NULL AND g.id IS NULL AND dg.id IS NULL
)
DELETE FROM incoming i USING judged j
WHERE (i.commune, i.kind, i.id) = (j.commune, j.kind, j.id)
RETURNING j.*;

-- name: number_known
UPDATE incoming i SET device_no = d.device_no
FROM device d
WHERE (d.commune, d.kind, d.id) = (i.commune, i.kind, i.id);

-- name: number_new
UPDATE incoming SET device_no = nextval(pg_get_serial_sequence('device', 'device_no')) WHERE device_no IS NULL;

-- name: place
UPDATE incoming i SET
    parent_no = coalesce(p.device_no, dp.device_no),
    gateway_no = coalesce(g.device_no, dg.device_no)
FROM incoming same
LEFT JOIN incoming p ON (p.commune, p.kind, p.id) = (same.commune, same.kind, same.parent)
LEFT JOIN incoming g ON (g.commune, g.kind, g.id) = (same.commune, same.kind, same.gateway)
LEFT JOIN device dp ON (dp.commune, dp.kind, dp.id) = (same.commune, same.kind, same.parent)
LEFT JOIN device dg ON (dg.commune, dg.kind, dg.id) = (same.commune, same.kind, same.gateway)
WHERE same.ctid = i.ctid AND (same.parent IS NOT NULL OR same.gateway IS NOT NULL);

-- name: place_neighbours
UPDATE incoming i SET neighbour_nos = found.nos
FROM (
    SELECT named.device_no, array_agg(coalesce(n.device_no, d.device_no) ORDER BY coalesce(n.device_no, d.device_no))
        FILTER (WHERE coalesce(n.device_no, d.device_no) <> named.device_no) AS nos
    FROM (SELECT device_no, kind, unnest(neighbours) AS name FROM incoming) named
    LEFT JOIN incoming n
        ON (n.commune, n.kind, n.id) = (split_part(name, '/', 1), named.kind, split_part(name, '/', 2))
    LEFT JOIN device d
        ON (d.commune, d.kind, d.id) = (split_part(name, '/', 1), named.kind, split_part(name, '/', 2))
    GROUP BY named.device_no
) AS found
WHERE i.device_no = found.device_no AND found.nos IS NOT NULL;

-- name: strange_neighbours
SELECT i.line, i.type, i.id, split_part(name, '/', 2) AS neighbour
FROM incoming i CROSS JOIN unnest(i.neighbours) AS name
WHERE NOT EXISTS (
    SELECT FROM incoming n WHERE (n.commune, n.kind, n.id) = (split_part(name, '/', 1), i.kind, split_part(name, '/', 2))
) AND NOT EXISTS (
    SELECT FROM device d WHERE (d.commune, d.kind, d.id) = (split_part(name, '/', 1), i.kind, split_part(name, '/', 2))
);

-- name: add
-- Parents may come after their children: a statement's foreign keys are checked at its end.
INSERT INTO device (device_no, commune, kind, id, type, parent_no, gateway_no, lat, lon, label, street, model, attributes,
    neighbour_nos, commissioned_at, changed_at, changed_version)
OVERRIDING SYSTEM VALUE
SELECT device_no, commune, kind, id, type, parent_no, gateway_no, lat, lon, label, street, model, attributes,
    neighbour_nos, %(now)s, %(now)s, %(version)s
FROM incoming i
WHERE NOT EXISTS (SELECT FROM device d WHERE d.device_no = i.device_no)
ORDER BY device_no;

-- name: change
UPDATE device d SET
    type = i.type, parent_no = i.parent_no, gateway_no = i.gateway_no, lat = i.lat, lon = i.lon, label = i.label,
    street = i.street, model = i.model, attributes = i.attributes, neighbour_nos = i.neighbour_nos,
    commissioned_at = coalesce(d.commissioned_at, %(now)s),
    changed_at = %(now)s, changed_version = %(version)s
FROM incoming i
WHERE d.device_no = i.device_no AND (
    d.commissioned_at IS NULL
    OR (d.type, d.parent_no, d.gateway_no, d.lat, d.lon, d.label, d.street, d.model, d.attributes, d.neighbour_nos)
        IS DISTINCT FROM
        (i.type, i.parent_no, i.gateway_no, i.lat, i.lon, i.label, i.street, i.model, i.attributes, i.neighbour_nos)
);

-- name: drop_incoming
DROP TABLE incoming;

-- name: register_unknown
-- The numbers of devices that are known already are not used up, hence NOT EXISTS beside ON CONFLICT.
INSERT INTO device (commune, kind, id, type, first_seen_at, changed_at, changed_version)
SELECT DISTINCT commune, kind, id, type, %(now)s::timestamptz, %(now)s::timestamptz, %(version)s::bigint
FROM unnest(%(communes)s::text[], %(kinds)s::text[], %(ids)s::text[], %(types)s::text[])
    AS met (commune, kind, id, type)
WHERE NOT EXISTS (
    SELECT FROM device d WHERE (d.commune, d.kind, d.id) = (met.commune, met.kind, met.id)
)
ON CONFLICT (commune, kind, id) DO NOTHING;

-- name: numbers
SELECT d.device_no, d.commune, d.kind, d.id
FROM unnest(%(communes)s::text[], %(kinds)s::text[], %(ids)s::text[]) AS met (commune, kind, id)
JOIN device d USING (commune, kind, id);

-- name: announce
-- A commissioned device is what the city says it is; its own words are kept beside.
UPDATE device SET
    announced = %(announced)s::jsonb,
    type = CASE WHEN commissioned_at IS NULL THEN coalesce(%(type)s, type) ELSE type END,
    lat = CASE WHEN commissioned_at IS NULL THEN coalesce(%(lat)s, lat) ELSE lat END,
    lon = CASE WHEN commissioned_at IS NULL THEN coalesce(%(lon)s, lon) ELSE lon END,
    label = CASE WHEN commissioned_at IS NULL THEN coalesce(%(label)s, label) ELSE label END,
    changed_at = %(now)s,
    changed_version = %(version)s
WHERE (commune, kind, id) = (%(commune)s, %(kind)s, %(id)s)
    AND announced IS DISTINCT FROM %(announced)s::jsonb
RETURNING commissioned_at IS NULL AS to_commission;

-- name: to_commission
SELECT device_no, commune, kind, id, type, label, lat, lon, announced, first_seen_at
FROM device
WHERE commissioned_at IS NULL
ORDER BY first_seen_at DESC NULLS LAST, device_no;

-- name: meet
-- So many strangers are taken in; one statement, because the store waits for it with every write.
WITH next AS (SELECT version + 1 AS version FROM registry_version FOR UPDATE),
met AS (
    SELECT DISTINCT * FROM unnest(%(communes)s::text[], %(kinds)s::text[], %(ids)s::text[], %(types)s::text[])
        AS met (commune, kind, id, type)
), added AS (
    INSERT INTO device (commune, kind, id, type, first_seen_at, changed_at, changed_version)
    SELECT commune, kind, id, type, %(now)s::timestamptz, %(now)s::timestamptz, next.version
    FROM met CROSS JOIN next
    WHERE NOT EXISTS (SELECT FROM device d WHERE (d.commune, d.kind, d.id) = (met.commune, met.kind, met.id))
    LIMIT %(room)s
    ON CONFLICT (commune, kind, id) DO NOTHING
    RETURNING device_no, commune, kind, id
), raised AS (
    UPDATE registry_version SET version = next.version FROM next WHERE EXISTS (SELECT FROM added)
)
SELECT device_no, commune, kind, id, true AS is_new FROM added
UNION ALL
SELECT device_no, commune, kind, id, false FROM device JOIN met USING (commune, kind, id);

-- name: count_to_commission
SELECT count(*) AS waiting FROM device WHERE commissioned_at IS NULL;
