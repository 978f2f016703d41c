-- Geofences that rules read as in__NAME (devices/fences.py): a row for each feature, all of one name are one fence.

CREATE TABLE fence (
    name text NOT NULL,
    part integer NOT NULL,
    use text NOT NULL,                  -- what it is for, in the city's words
    width_m double precision,           -- of the corridor of a line
    geometry jsonb NOT NULL,            -- GeoJSON, WGS 84
    PRIMARY KEY (name, part)
);

-- One row, raised by every change, so that the worker knows when to read again. A writer locks it until it commits.
CREATE TABLE fence_version (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL DEFAULT 0
);
INSERT INTO fence_version DEFAULT VALUES;
