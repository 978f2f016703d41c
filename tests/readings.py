"""Readings for tests, from plain dicts."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from devices.kind import kinds
from devices.readings import Decoded, Readings
from ingest.codecs.codec import codecs
from ingest.decode import refuser
from ingest.log import Message

NOW_US = 1_780_000_000_000_000


def readings_of(kind_name: str, rows: Sequence[Mapping[str, float]], *, first_offset: int = 0) -> Readings:
    """Rows of `no`, `ts` (seconds after NOW_US), `received` (likewise; default ts), `replayed` and fields."""
    kind, n = kinds()[kind_name], len(rows)
    ts = np.array([NOW_US + int(r["ts"] * 1e6) for r in rows], np.int64)
    received = np.array([NOW_US + int(r.get("received", r["ts"]) * 1e6) for r in rows], np.int64)
    return Readings(
        kind=kind,
        offset=np.arange(first_offset, first_offset + n),
        part=np.zeros(n, np.int32),
        device_no=np.array([r["no"] for r in rows], np.int64),
        ts_us=ts,
        received_us=received,
        time_flagged=np.zeros(n, bool),
        replayed=np.array([bool(r.get("replayed")) for r in rows]),
        values=np.array([[r.get(name, np.nan) for r in rows] for name in kind.field_names], float).reshape(-1, n),
        rest={},
        strangers={},
    )


def decoded_of(readings: Readings) -> Decoded:
    """A stretch of the log that holds one message per reading."""
    n, first = len(readings), int(readings.offset[0])
    topic = f"city/x/{readings.kind.name}/{{}}/telemetry".format
    told = [
        {name: value for name, value in zip(readings.kind.field_names, row, strict=True) if not np.isnan(value)}
        for row in readings.values.T.tolist()
    ]
    messages = [
        Message(first + i, int(readings.received_us[i]), "city", topic(i), msgspec.json.encode(told[i]))
        for i in range(n)
    ]
    refuse = refuser(messages, {"city": (codecs()["native"], "x")}.get)
    counts = {"messages": n, "messages_decoded": n, "readings": n}
    return Decoded(first, first + n, [readings], [], [], [], [], refuse, counts)
