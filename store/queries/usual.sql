-- What the rollups tell of one field, for store/usual.py: arrays of one row, which numpy takes as they are.

-- name: buckets
SELECT coalesce(array_agg(b.device_no), '{{}}') AS device_no, coalesce(array_agg(b.ts), '{{}}') AS ts,
    coalesce(array_agg(b.{figure}::real), '{{}}') AS value, coalesce(array_agg(b.{n}), '{{}}') AS n
FROM {buckets} b
WHERE b.ts >= %(since)s::timestamptz AND b.ts <= %(until)s::timestamptz AND b.{figure} IS NOT NULL
    AND (%(devices)s::integer[] IS NULL OR b.device_no = ANY (%(devices)s::integer[]))
