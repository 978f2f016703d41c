-- Recorded readings as columns. {table}, {values} and {sent} are filled in from a kind's declaration.

-- name: begin
SET TRANSACTION READ ONLY

-- name: sort_not_hash
-- A hash of whole days would be held in memory at once; sorted by bucket, one bucket is.
SET LOCAL enable_hashagg = off

-- name: memory
SET LOCAL work_mem = '64MB'

-- name: buckets
SELECT count(*) AS readings, string_agg(int4send(device_no), ''::bytea) AS device_no,
       string_agg(timestamptz_send(ts), ''::bytea) AS ts{sent}
FROM (
    SELECT time_bucket('1 minute', ts) AS bucket, device_no, least(ts, received_at) AS ts{values}
    FROM {table}
    WHERE ts >= %(since)s AND ts < %(until)s AND device_no = ANY (%(devices)s)
) r
GROUP BY bucket ORDER BY bucket
