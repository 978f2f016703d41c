"""What tele-alert and the page read of other processes: what is not whole is told, never raised."""

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alerts.batch import read_transition
from dashboard.live import Live
from dashboard.picture import Picture
from devices.frame import Frame
from devices.transition import Transition
from tests.fuzz import damaged
from tests.unit.alerts.city import fire

ARRAY = np.arange(5)
FRAME = Frame.of(
    "fleet_vehicle",
    epoch=1,
    seq=1,
    key=True,
    at_us=1,
    device_no=ARRAY,
    state=ARRAY,
    position=(ARRAY.astype(float), ARRAY.astype(float)),
)


@given(st.randoms(use_true_random=True))
def test_a_damaged_transition_is_a_sentence(chance: Random):
    for _ in range(50):
        read = read_transition(damaged(chance, fire(21).encode()))
        assert isinstance(read, Transition) or len(read) > 10


@given(st.randoms(use_true_random=True))
def test_a_damaged_frame_is_counted_and_changes_nothing(chance: Random):
    live = Live({"fleet_vehicle": Picture.of("fleet_vehicle")})
    live.take(FRAME.encode())
    for number in range(50):
        refused, revision = live.bad_frames, live.pictures["fleet_vehicle"].revision
        live.take(damaged(chance, FRAME.encode()))
        assert live.bad_frames == refused or live.pictures["fleet_vehicle"].revision == revision, number


def test_what_is_no_text_or_too_deep_is_no_transition_and_no_frame():
    for payload in (b'{"kind":"\xff"}', b'{"x":' * 5_000):
        assert "not a transition" in str(read_transition(payload))
    for payload in (b"\x81\xa4kind\xa1\xff", b"\x81\xa1x" * 5_000):
        live = Live({})
        live.take(payload)
        assert live.bad_frames == 1
