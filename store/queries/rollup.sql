-- Rollups, made again from the buckets that were touched. {table}, the figures and their columns are filled in from a
-- kind's declaration (store/rollup_statements.py). Keys are arrays of device numbers and of quarters of an hour since
-- 1970; a statement is about the readings of one day (UTC), so that the planner leaves the other chunks out.

-- name: take
-- The oldest writes, one at least, until they touch so many quarters.
DELETE FROM rollup_due WHERE due_no IN (
    SELECT due_no
    FROM (
        SELECT due_no, sum(touched) OVER (ORDER BY due_no) - touched AS before
        FROM (
            SELECT due_no, cardinality(devices) AS touched FROM rollup_due
            WHERE kind = %(kind)s ORDER BY due_no LIMIT %(writes)s
        ) AS oldest
    ) AS counted
    WHERE before < %(quarters)s
) RETURNING devices, quarters

-- name: remember
INSERT INTO rollup_due (kind, devices, quarters, since) VALUES (%(kind)s, %(devices)s, %(quarters)s, %(now)s)

-- name: has_table
SELECT to_regclass(%(table)s) IS NOT NULL AS has_table

-- name: remember_all
-- What was stored before there were rollups.
INSERT INTO rollup_due (kind, devices, quarters, since)
SELECT {kind}, array_agg(device_no), array_agg(quarter), now()
FROM (
    SELECT device_no, quarter, row_number() OVER (ORDER BY quarter, device_no) / 10000 AS batch
    FROM (SELECT DISTINCT device_no, floor(extract(epoch FROM ts) / 900)::integer AS quarter FROM {table}) AS every
) AS numbered
GROUP BY batch ORDER BY batch

-- name: successors
-- A late reading of a counter changes the rise to the next one: where that lies.
SELECT k.device_no, floor(extract(epoch FROM next.ts) / 900)::integer AS quarter
FROM unnest(%(devices)s::integer[], %(quarters)s::integer[]) AS k (device_no, quarter)
JOIN {latest} l ON l.device_no = k.device_no AND l.{at} >= to_timestamp((k.quarter + 1) * 900)
CROSS JOIN LATERAL (
    SELECT r.ts FROM {table} r
    WHERE r.device_no = k.device_no AND r.ts >= to_timestamp((k.quarter + 1) * 900) AND r.{field} IS NOT NULL
    ORDER BY r.ts LIMIT 1
) AS next

-- name: quarters
-- From readings to quarters of an hour, and to the last value of each field.
WITH told AS MATERIALIZED (
    SELECT k.device_no, to_timestamp(k.quarter * 900) AS bucket, r.ts, r.received_at{fields}{lags}
    FROM unnest(%(devices)s::integer[], %(quarters)s::integer[]) AS k (device_no, quarter)
    JOIN {table} r ON r.device_no = k.device_no
        AND r.ts >= to_timestamp(k.quarter * 900) AND r.ts < to_timestamp((k.quarter + 1) * 900)
        AND r.ts >= %(since)s::timestamptz AND r.ts < %(until)s::timestamptz
), grouped AS MATERIALIZED (
    SELECT device_no, bucket, count(*)::integer AS readings, max(ts) AS at,
           last(received_at, ts) AS received_at{figures}{ats}
    FROM (SELECT told.*{befores} FROM told) AS risen
    GROUP BY device_no, bucket
), rolled AS (
    INSERT INTO {quarters} (device_no, ts, readings{columns})
    SELECT device_no, bucket, readings{columns} FROM grouped
    ON CONFLICT (device_no, ts) DO UPDATE SET readings = excluded.readings{updates}
)
INSERT INTO {latest} AS l (device_no, ts, received_at{names}{at_names})
SELECT device_no, max(at), last(received_at, at){lasts}{last_ats}
FROM grouped GROUP BY device_no
ON CONFLICT (device_no) DO UPDATE SET
    received_at = CASE WHEN excluded.ts >= l.ts THEN excluded.received_at ELSE l.received_at END,
    ts = greatest(excluded.ts, l.ts){newer}

-- name: lag
, lag(r.{field}) OVER (PARTITION BY k.device_no, k.quarter, r.{field} IS NULL ORDER BY r.ts) AS {lag}

-- name: before
-- The value before: in the same quarter, else in the two days before, else whenever it was.
, CASE WHEN told.{field} IS NOT NULL THEN coalesce(
    told.{lag},
    (SELECT p.{field} FROM {table} p
     WHERE p.device_no = told.device_no AND p.ts < told.bucket AND p.{field} IS NOT NULL
       AND p.ts >= %(before)s::timestamptz AND p.ts < %(until)s::timestamptz
     ORDER BY p.ts DESC LIMIT 1),
    (SELECT p.{field} FROM {table} p
     WHERE p.device_no = told.device_no AND p.ts < %(before)s::timestamptz AND p.{field} IS NOT NULL
     ORDER BY p.ts DESC LIMIT 1)
) END AS {before}

-- name: widen
-- From quarters to hours and days.
INSERT INTO {wide} (device_no, ts, readings{columns})
SELECT k.device_no, to_timestamp(k.start * 900), sum(b.readings){figures}
FROM unnest(%(devices)s::integer[], %(starts)s::integer[], %(ends)s::integer[]) AS k (device_no, start, finish)
JOIN {buckets} b ON b.device_no = k.device_no
    AND b.ts >= to_timestamp(k.start * 900) AND b.ts < to_timestamp(k.finish * 900)
    AND b.ts >= %(since)s::timestamptz AND b.ts < %(until)s::timestamptz
GROUP BY k.device_no, k.start
ON CONFLICT (device_no, ts) DO UPDATE SET readings = excluded.readings{updates}

-- name: touch_areas
INSERT INTO rollup_area_due (kind, commune, quarter)
SELECT DISTINCT %(kind)s, d.commune, k.quarter
FROM unnest(%(devices)s::integer[], %(quarters)s::integer[]) AS k (device_no, quarter)
JOIN device d ON d.device_no = k.device_no
ORDER BY 2, 3
ON CONFLICT DO NOTHING

-- name: take_areas
DELETE FROM rollup_area_due WHERE kind = %(kind)s RETURNING commune, quarter

-- name: areas
INSERT INTO {area} (commune, type, ts, devices, readings{columns})
SELECT d.commune, coalesce(d.type, ''), b.ts, count(*), sum(b.readings){figures}
FROM unnest(%(communes)s::text[], %(starts)s::integer[]) AS k (commune, start)
JOIN device d ON d.commune = k.commune AND d.kind = %(kind)s AND d.commissioned_at IS NOT NULL
JOIN {buckets} b ON b.device_no = d.device_no AND b.ts = to_timestamp(k.start * 900)
    AND b.ts >= %(since)s::timestamptz AND b.ts < %(until)s::timestamptz
GROUP BY 1, 2, 3
ON CONFLICT (commune, type, ts) DO UPDATE SET devices = excluded.devices, readings = excluded.readings{updates}
