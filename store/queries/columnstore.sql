-- Older history in columns, which take less room. Only TimescaleDB's community edition can; the name of the
-- settings is that of before 2.18, which every version knows.

-- name: license
SELECT coalesce(current_setting('timescaledb.license', true), 'apache') = 'timescale' AS is_community

-- name: is_enabled
SELECT compression_enabled AS is_enabled FROM timescaledb_information.hypertables
WHERE hypertable_schema = 'public' AND hypertable_name = %(table)s

-- name: enable
-- Both are named: their defaults look for the table by its name alone, which views of other schemas share.
ALTER TABLE {table} SET (
    timescaledb.compress, timescaledb.compress_segmentby = 'device_no', timescaledb.compress_orderby = 'ts'
)

-- name: compress
SELECT compress_chunk(format('%%I.%%I', chunk_schema, chunk_name)::regclass)
FROM timescaledb_information.chunks
WHERE hypertable_schema = 'public' AND hypertable_name = %(table)s AND NOT is_compressed AND range_end < %(before)s
