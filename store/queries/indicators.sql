-- The figures that a city watches, over time.

-- name: write
INSERT INTO indicator_sample (ts, kind, indicator, commune, total, counted)
SELECT %(ts)s, * FROM unnest(%(kind)s::text[], %(indicator)s::text[], %(commune)s::text[],
    %(total)s::double precision[], %(counted)s::integer[])
ON CONFLICT (kind, ts, indicator, commune) DO UPDATE SET total = excluded.total, counted = excluded.counted;

-- name: trend
-- Buckets of the city's (or a commune's) figures, each the mean of its quarters.
SELECT kind, indicator, time_bucket(%(width)s, ts) AS at, avg(total) AS total, avg(counted) AS counted
FROM (
    SELECT kind, indicator, ts, sum(total) AS total, sum(counted) AS counted FROM indicator_sample
    WHERE kind = ANY (%(kinds)s) AND ts >= %(since)s AND ts <= %(until)s
        AND (%(commune)s::text IS NULL OR commune = %(commune)s)
    GROUP BY kind, indicator, ts
) quarter
GROUP BY kind, indicator, at ORDER BY kind, indicator, at;

-- name: by_commune
SELECT commune, indicator, total, counted FROM indicator_sample
WHERE kind = %(kind)s AND ts = (
    SELECT max(ts) FROM indicator_sample WHERE kind = %(kind)s AND ts > %(since)s AND ts <= %(until)s
);

-- name: drop
SELECT drop_chunks('indicator_sample', older_than => %(oldest)s::timestamptz);
