"""A city that talks: generated streets and devices, healthy days, faults with their truth, and replayed recordings."""
