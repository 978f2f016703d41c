-- Devices of the same kind that stand next to a device, as the city declares them: a junction's next junctions.
ALTER TABLE device ADD COLUMN neighbour_nos integer[] NOT NULL DEFAULT '{}';
