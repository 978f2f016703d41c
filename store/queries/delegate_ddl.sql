-- What contracts see of one kind's readings, made again at every migration; run in this order (store/delegate_ddl.py).
-- The functions' own names (since, most ...) never stand for a column: the tables' columns are all qualified.

-- name: personal_position
DELETE FROM personal_data WHERE kind = {kind}

-- name: personal
INSERT INTO personal_data (kind, what, types)
SELECT {kind}, 'position', NULL WHERE {is_mobile}
UNION ALL SELECT {kind}, 'household', {household_types}::text[] WHERE {is_household}

-- name: drop_functions
DROP FUNCTION IF EXISTS
    {readings} (integer[], timestamptz, timestamptz, integer, timestamptz, integer),
    {points} (integer, timestamptz, timestamptz, interval),
    {latest} (integer[])

-- name: drop_view
DROP VIEW IF EXISTS {view}, {area_quarters_view}, {area_hours_view}

-- name: view
CREATE VIEW {view} WITH (security_barrier) AS
SELECT r.device_no, r.ts, r.received_at, r.time_flagged, {fields}
FROM {table} r
JOIN delegate.device s
    ON s.kind = {kind} AND s.device_no = r.device_no AND r.ts >= s.from_ts AND r.ts < s.until_ts
WHERE NOT s.is_daily OR (
    r.ts < date_trunc('day', now(), s.time_zone)
    AND NOT EXISTS (
        SELECT 1 FROM {table} later
        WHERE later.device_no = r.device_no AND later.ts > r.ts
          AND later.ts < ((r.ts AT TIME ZONE s.time_zone)::date + 1)::timestamp AT TIME ZONE s.time_zone
    )
)

-- What all devices of a type did together in a commune. Where households say one reading a day alone, only what five or
-- more of them did tells of nobody.
-- name: area_quarters_view
CREATE VIEW {area_quarters_view} WITH (security_barrier) AS
SELECT {area_columns} FROM {area_quarters} a
JOIN delegate.my_contract c
    ON {kind} = ANY (c.kinds) AND a.commune = ANY (c.communes)
    AND a.ts >= c.from_ts AND a.ts + interval '15 minutes' <= c.until_ts
WHERE c.household_readings = 'all' OR a.devices >= 5 OR a.type <> ALL (coalesce({household_types}, '{{}}'::text[]))

-- name: area_hours_view
CREATE VIEW {area_hours_view} WITH (security_barrier) AS
SELECT {area_columns} FROM {area_hours} a
JOIN delegate.my_contract c
    ON {kind} = ANY (c.kinds) AND a.commune = ANY (c.communes)
    AND a.ts >= c.from_ts AND a.ts + interval '1 hour' <= c.until_ts
WHERE c.household_readings = 'all' OR a.devices >= 5 OR a.type <> ALL (coalesce({household_types}, '{{}}'::text[]))

-- name: grant_view
GRANT SELECT ON {view}, {area_quarters_view}, {area_hours_view} TO PUBLIC

-- Readings after a place in the order (device_no, ts), at most so many; a household's last one of each finished day.
-- name: readings
CREATE FUNCTION {readings} (
    devices integer[], since timestamptz, until timestamptz,
    after_device integer, after_ts timestamptz, most integer
) RETURNS SETOF {view}
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    s record;
    first timestamptz;
    finish timestamptz;
    missing bigint := least(most, 50000);
    returned bigint;
BEGIN
    FOR s IN
        SELECT d.* FROM delegate.device d
        WHERE d.kind = {kind} AND (devices IS NULL OR d.device_no = ANY (devices))
          AND (after_device IS NULL OR d.device_no >= after_device)
        ORDER BY d.device_no
    LOOP
        EXIT WHEN missing <= 0;
        first := greatest(since, s.from_ts);
        finish := least(until, s.until_ts);
        IF s.device_no = after_device THEN
            first := greatest(first, after_ts + interval '1 microsecond');
        END IF;
        IF NOT s.is_daily THEN
            RETURN QUERY
                SELECT r.device_no, r.ts, r.received_at, r.time_flagged, {fields}
                FROM {table} r
                WHERE r.device_no = s.device_no AND r.ts >= first AND r.ts < finish
                ORDER BY r.ts LIMIT missing;
        ELSE
            -- Whole days are read, so that no choice of bounds tells of a moment within a day.
            RETURN QUERY
                SELECT r.device_no, r.ts, r.received_at, r.time_flagged, {fields}
                FROM (
                    SELECT DISTINCT ON ((a.ts AT TIME ZONE s.time_zone)::date) a.*
                    FROM {table} a
                    WHERE a.device_no = s.device_no AND a.ts >= date_trunc('day', first, s.time_zone)
                      AND a.ts < least(
                          ((finish AT TIME ZONE s.time_zone)::date + 1)::timestamp AT TIME ZONE s.time_zone,
                          date_trunc('day', now(), s.time_zone)
                      )
                    ORDER BY (a.ts AT TIME ZONE s.time_zone)::date, a.ts DESC
                ) r
                WHERE r.ts >= first AND r.ts < finish
                ORDER BY r.ts LIMIT missing;
        END IF;
        GET DIAGNOSTICS returned = ROW_COUNT;
        missing := missing - returned;
    END LOOP;
END
$$

-- One device's readings by buckets of a width, which is raised where it would make more than 10,000 of them. Wide ones
-- are made of the rollups, of which only those are taken that lie in the contract's days as a whole.
-- name: points
CREATE FUNCTION {points} (device integer, since timestamptz, until timestamptz, width interval)
RETURNS TABLE (ts timestamptz, readings bigint, {typed})
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s record;
    first timestamptz;
    finish timestamptz;
    wide interval;
BEGIN
    SELECT d.* INTO s FROM delegate.device d WHERE d.kind = {kind} AND d.device_no = device;
    first := greatest(since, s.from_ts);
    finish := least(until, s.until_ts, now() + interval '1 day');
    IF s.device_no IS NULL OR finish IS NULL OR first IS NULL OR finish <= first THEN
        RETURN;
    END IF;
    wide := greatest(width, (finish - first) / 10000, interval '1 second');
    IF s.is_daily THEN
        RETURN QUERY
            SELECT time_bucket(wide, r.ts), count(*), {thinned}
            FROM {readings} (ARRAY[s.device_no], first, finish, NULL, NULL, 50000) r
            GROUP BY 1 ORDER BY 1;
    ELSIF {is_mobile} OR wide < interval '15 minutes' THEN
        RETURN QUERY
            SELECT time_bucket(wide, r.ts), count(*), {thinned}
            FROM {table} r
            WHERE r.device_no = s.device_no AND r.ts >= first AND r.ts < finish
            GROUP BY 1 ORDER BY 1;
    ELSIF wide < interval '1 hour' THEN
        RETURN QUERY
            SELECT time_bucket(wide, r.ts), sum(r.readings), {rolled}
            FROM {quarters} r
            WHERE r.device_no = s.device_no AND r.ts >= time_bucket(interval '15 minutes', first) AND r.ts < finish
              AND r.ts >= s.from_ts AND r.ts + interval '15 minutes' <= s.until_ts
            GROUP BY 1 ORDER BY 1;
    ELSE
        RETURN QUERY
            SELECT time_bucket(wide, r.ts), sum(r.readings), {rolled}
            FROM {hours} r
            WHERE r.device_no = s.device_no AND r.ts >= time_bucket(interval '1 hour', first) AND r.ts < finish
              AND r.ts >= s.from_ts AND r.ts + interval '1 hour' <= s.until_ts
            GROUP BY 1 ORDER BY 1;
    END IF;
END
$$

-- The last reading of each device that the contract covers, for the first 1,000 of those asked for.
-- name: latest
CREATE FUNCTION {latest} (devices integer[]) RETURNS SETOF {view}
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
        SELECT r.device_no, r.ts, r.received_at, r.time_flagged, {fields}
        FROM (
            SELECT d.* FROM delegate.device d WHERE d.kind = {kind} AND d.device_no = ANY (devices)
            ORDER BY d.device_no LIMIT 1000
        ) s
        CROSS JOIN LATERAL (
            SELECT a.* FROM {table} a
            WHERE a.device_no = s.device_no AND a.ts >= s.from_ts
              AND a.ts < least(s.until_ts, CASE WHEN s.is_daily THEN date_trunc('day', now(), s.time_zone) END)
            ORDER BY a.ts DESC LIMIT 1
        ) r
        ORDER BY s.device_no;
END
$$
