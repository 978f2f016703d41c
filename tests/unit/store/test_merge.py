"""Merging equals a plain reading of the rule, one reading after the other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from store.merge import Outcome, Stored, keys_of, merge
from tests.readings import readings_of

FIELDS = ("total_m3", "flow_m3h", "leak")
VALUE = st.none() | st.sampled_from([0.0, 0.1, 1.0])
ROW = st.tuples(st.integers(1, 3), st.integers(0, 2), VALUE, VALUE, VALUE)


def plainly(rows, stored):
    """(outcome of each row, values by key), with no array in sight."""
    known = {key: dict(values) for key, values in stored.items()}
    outcomes = []
    for no, ts, *row in rows:
        told = {name: value for name, value in zip(FIELDS, row, strict=True) if value is not None}
        mine = known.get((no, ts))
        if mine is None:
            known[no, ts] = told
            outcomes.append(Outcome.STORED)
        elif any(mine.get(name, value) != value for name, value in told.items()):
            outcomes.append(Outcome.CONFLICT)
        elif told.keys() - mine.keys():
            known[no, ts] = {**told, **mine}
            outcomes.append(Outcome.MERGED)
        else:
            outcomes.append(Outcome.DUPLICATE)
    return outcomes, known


@given(st.lists(ROW, min_size=1, max_size=25), st.lists(ROW, max_size=4))
def test_merging_is_what_it_says(rows, before):
    rows = sorted(rows, key=lambda row: row[:2])
    _, stored = plainly(before, {})
    late = readings_of(
        "water_meter",
        [
            {"no": no, "ts": ts, **{n: v for n, v in zip(FIELDS, told, strict=True) if v is not None}}
            for no, ts, *told in rows
        ],
    )
    keys = list(dict.fromkeys(row[:2] for row in rows))
    names = late.kind.field_names
    values = np.full((len(names), len(keys)), np.nan)
    for k, key in enumerate(keys):
        for name, value in stored.get(key, {}).items():
            values[names.index(name), k] = np.float32(value) if name == "flow_m3h" else value
    merged = merge(late, Stored(values, np.array([key in stored for key in keys])))

    outcomes, known = plainly(rows, stored)
    assert merged.outcome.tolist() == outcomes
    written = {}
    for part in (merged.new, merged.filled):
        for i in range(len(part)):
            told = {n: v for n, v in zip(names, part.values[:, i].tolist(), strict=True) if not np.isnan(v)}
            written[keys[keys_of(late)[1][part.offset[i]]]] = told
    assert all(written[key].keys() == known[key].keys() for key in written)
    assert set(written) == {row[:2] for row, outcome in zip(rows, outcomes, strict=True) if outcome < Outcome.DUPLICATE}
