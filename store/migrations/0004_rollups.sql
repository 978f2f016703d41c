-- What the rollups still have to look at. Their tables come from the kinds' declarations (store/rollup_ddl.py).

-- Written with the readings, in their transaction: the quarters of an hour that they fell into (since 1970, UTC).
CREATE TABLE rollup_due (
    due_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    devices integer[] NOT NULL,
    quarters integer[] NOT NULL,        -- of the same length
    since timestamptz NOT NULL          -- hub time
);
CREATE INDEX rollup_due_of ON rollup_due (kind, due_no);

-- Quarters whose figures per commune follow those of their devices.
CREATE TABLE rollup_area_due (
    kind text NOT NULL,
    commune text NOT NULL,
    quarter integer NOT NULL,
    PRIMARY KEY (kind, commune, quarter)
);
