"""The live picture: frames in, changes out, and where a browser may resume."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from dashboard.picture import ABSENT, RECENT_FRAMES, BadFrame, Picture, Place, format_places, parse_places
from devices.frame import Frame

EPOCH = 7


def frame(
    seq: int,
    states: dict[int, int],
    *,
    key: bool = False,
    epoch: int = EPOCH,
    at: dict[int, tuple[float, float]] | None = None,
) -> Frame:
    position = (np.array([at[no][0] for no in states]), np.array([at[no][1] for no in states])) if at else None
    return Frame.of(
        "street_lighting",
        epoch=epoch,
        seq=seq,
        key=key,
        at_us=seq,
        device_no=np.array(list(states), np.int32),
        state=np.array(list(states.values()), np.uint8),
        position=position,
    )


def seen(encoded: str | None) -> dict[int, int]:
    """States by device number of an encoded change."""
    assert encoded
    change = json.loads(encoded)
    numbers = np.frombuffer(base64.b64decode(change["device_no"]), "<i4")
    states = np.frombuffer(base64.b64decode(change["state"]), "u1")
    return dict(zip(numbers.tolist(), states.tolist(), strict=True))


def started(states: dict[int, int]) -> Picture:
    picture = Picture.of("street_lighting")
    assert picture.apply(frame(1, states, key=True))
    return picture


def test_a_key_frame_is_the_whole_picture() -> None:
    picture = started({5: 2, 9: 6})
    assert seen(picture.full()) == {5: 2, 9: 6}
    assert json.loads(picture.full())["full"] is True
    assert (picture.state(9), picture.state(6), picture.state(-1), picture.state(10**9)) == (6, None, None, None)


def test_devices_are_counted_by_state_of_all_or_of_some() -> None:
    picture = started({5: 2, 9: 6, 11: 2})
    assert {state: count for state, count in enumerate(picture.counts()) if count} == {2: 2, 6: 1}
    some = picture.counts(np.array([9, 7, 10**6], np.int32))
    assert {state: count for state, count in enumerate(some) if count} == {6: 1}, "7 is not there, nor a million"
    assert not Picture.of("street_lighting").counts().any()


def test_a_delta_before_any_key_frame_is_not_a_picture() -> None:
    picture = Picture.of("street_lighting")
    assert not picture.apply(frame(4, {5: 2}))
    assert len(picture) == 0


def test_changes_since_a_revision_are_merged_and_the_last_counts() -> None:
    picture = started({1: 2, 2: 2, 3: 2})
    since = picture.revision
    picture.apply(frame(2, {1: 4}))
    picture.apply(frame(3, {1: 6, 3: 3}))
    assert seen(picture.since(since)) == {1: 6, 3: 3}
    assert picture.since(picture.revision) == ""


def test_a_repeated_key_frame_tells_only_what_differs() -> None:
    picture = started({1: 2, 2: 2})
    since = picture.revision
    assert not picture.apply(frame(2, {1: 2, 2: 2}, key=True))
    assert picture.since(since) == ""
    assert picture.apply(frame(3, {1: 2, 2: 5}, key=True))
    assert seen(picture.since(since)) == {2: 5}


def test_a_device_that_leaves_the_registry_is_told_as_absent() -> None:
    picture = started({1: 2, 2: 2})
    since = picture.revision
    picture.apply(frame(2, {1: 2}, key=True))
    assert seen(picture.since(since)) == {2: ABSENT}
    assert seen(picture.full()) == {1: 2}


def test_who_is_too_far_behind_gets_nothing_and_so_the_full_picture() -> None:
    picture = started({1: 2})
    since = picture.revision
    for seq in range(2, RECENT_FRAMES + 3):
        picture.apply(frame(seq, {1: seq % 7}))
    assert picture.since(since) is None
    assert picture.since(picture.revision + 1) is None


def test_another_process_goes_on_where_the_browser_left_off() -> None:
    first, second = started({1: 2, 2: 2}), started({1: 2, 2: 2})
    first.apply(frame(2, {1: 4}))
    left_at = first.place
    for picture in (first, second):
        if picture is second:
            picture.apply(frame(2, {1: 4}))
        picture.apply(frame(3, {2: 5}))
    revision = second.locate(left_at)
    assert revision is not None
    assert seen(second.since(revision)) == {2: 5}


def test_nobody_resumes_from_a_moment_with_a_lost_frame() -> None:
    picture = started({1: 2, 2: 2})
    picture.apply(frame(3, {1: 4}))  # 2 was lost
    assert picture.place is None
    picture.apply(frame(4, {1: 2}))
    assert picture.locate(Place(EPOCH, 4)) is None
    picture.apply(frame(5, {1: 2, 2: 6}, key=True))
    assert picture.place == Place(EPOCH, 5)


def test_a_restarted_worker_starts_a_new_history() -> None:
    picture = started({1: 2})
    left_at = picture.place
    assert not picture.apply(frame(1, {1: 6}, epoch=EPOCH + 1)), "a delta of an unknown epoch says nothing"
    picture.apply(frame(2, {1: 6}, key=True, epoch=EPOCH + 1))
    assert seen(picture.full()) == {1: 6}
    assert picture.place == Place(EPOCH + 1, 2)
    assert left_at == Place(EPOCH, 1)


def test_a_vehicle_that_only_moves_is_a_change_and_one_without_fix_is_not() -> None:
    picture = Picture.of("fleet_vehicle")
    nowhere = (float("nan"), float("nan"))
    picture.apply(frame(1, {1: 2, 2: 2}, key=True, at={1: (47.3, 5.0), 2: nowhere}))
    since = picture.revision
    assert not picture.apply(frame(2, {1: 2, 2: 2}, key=True, at={1: (47.3, 5.0), 2: nowhere}))
    picture.apply(frame(3, {1: 2, 2: 2}, key=True, at={1: (47.4, 5.0), 2: nowhere}))
    change: dict[str, Any] = json.loads(picture.since(since) or "")
    assert np.frombuffer(base64.b64decode(change["lat"]), "<f4").tolist() == pytest.approx([47.4])


@pytest.mark.parametrize(
    "broken",
    [
        Frame("street_lighting", EPOCH, 2, False, 0, b"\x01\x00\x00", b"\x02"),
        Frame("street_lighting", EPOCH, 2, False, 0, b"\x01\x00\x00\x00", b"\x02\x02"),
        Frame("street_lighting", EPOCH, 2, False, 0, b"\xff\xff\xff\xff", b"\x02"),
        Frame("street_lighting", EPOCH, 2, False, 0, b"\xff\xff\xff\x7f", b"\x02"),
        Frame("street_lighting", EPOCH, 2, False, 0, b"\x01\x00\x00\x00", b"\x02", b"", b""),
    ],
    ids=["cut", "lengths", "negative", "huge", "no positions"],
)
def test_a_broken_frame_leaves_the_picture_as_it_was(broken: Frame) -> None:
    picture = started({1: 2})
    revision = picture.revision
    with pytest.raises(BadFrame):
        picture.apply(broken)
    assert (picture.revision, picture.state(1)) == (revision, 2)


def test_event_ids_survive_the_way_and_nonsense_is_left_out() -> None:
    places = {"street_lighting": Place(1763, 12), "water_meter": Place(1763, 3)}
    assert parse_places(format_places({**places, "fleet_vehicle": None})) == places
    assert parse_places("street_lighting.x.1,.1.2,water_meter,fleet_vehicle.1.-2, a.1.2.3,\x00") == {}
    assert parse_places(None) == {}
