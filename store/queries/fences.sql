-- Geofences, for store/fences.py.

-- name: version
SELECT version FROM fence_version;

-- name: raise_version
UPDATE fence_version SET version = version + 1;

-- name: load
SELECT name, use, width_m, geometry FROM fence ORDER BY name, part;

-- name: remove
DELETE FROM fence WHERE name = ANY (%(names)s);

-- name: put
INSERT INTO fence (name, part, use, width_m, geometry)
SELECT name, row_number() OVER (PARTITION BY name ORDER BY place), use, width_m, geometry::jsonb
FROM unnest(%(names)s::text[], %(uses)s::text[], %(widths)s::double precision[], %(geometries)s::text[])
    WITH ORDINALITY AS part (name, use, width_m, geometry, place);
