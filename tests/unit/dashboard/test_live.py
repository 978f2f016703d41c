"""How fresh the live pictures are."""

import numpy as np

from dashboard.live import Live
from dashboard.picture import Picture
from devices.frame import Frame


def payload(seq: int = 1, kind: str = "water_meter") -> bytes:
    one = np.array([1])
    return Frame.of(kind, epoch=1, seq=seq, key=True, at_us=0, device_no=one, state=one).encode()


def fresh() -> Live:
    return Live({"water_meter": Picture.of("water_meter")})


def test_a_frame_makes_the_picture_live_and_one_that_the_broker_kept_does_not() -> None:
    live = fresh()
    live.take(payload(), is_kept=True)
    assert len(live.pictures["water_meter"]) == 1
    assert live.is_late and live.age_s() is None
    live.take(payload(2))
    assert not live.is_late


def test_what_is_no_frame_or_of_no_kind_is_counted_and_changes_nothing() -> None:
    live = fresh()
    for bad in (b"", b"\xff", b"\x80", payload(kind="dragons")):
        live.take(bad)
    assert live.bad_frames == 4
    assert live.is_late


async def test_only_a_change_rings() -> None:
    live = fresh()
    bell = live.bell.next
    live.take(payload())
    assert bell.is_set()
    bell = live.bell.next
    live.take(payload(2))
    assert not bell.is_set()
