"""Simulated network zones: the flow and pressure at the inlet of the mains that feed the water meters. Pure."""

from collections.abc import Sequence

import numpy as np

from hub.clock import SECOND_US
from simulators.city import City
from simulators.faults import Fault, Spans, changes
from simulators.hours import jitter
from simulators.night import HOUR_US
from simulators.water import KIND, Water
from simulators.wire import HELLO_S, Message, Reading, due, encode, once, phases, topic

SAMPLE_S = 900
"""The sampling of district metering (UKWIR)."""
LOSS_M3H_PER_METER = 0.0015
"""What a sound network loses, day and night: about a tenth of what it delivers."""
BURST_M3H = 40.0
"""A main that is found quickly (Gironde's guide)."""
REST_BAR, DROP_BAR, BURST_BAR = 4.4, 0.5, 1.2
LIVELY_M3H_PER_METER = 0.05
"""Draw per meter at which the pressure has dropped by `DROP_BAR`."""


class ZoneReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    total_m3: float
    flow_m3h: float
    pressure_bar: float
    flow_jump: bool
    hammer: bool


class Zones:
    """The network zones of a city from `start_us` on; `step` gives what is due since the last step.

    A zone's volume is that of its meters and its losses, so a burst behind a meter is seen in its zone too.
    """

    def __init__(self, city: City, water: Water, faults: Sequence[Fault], start_us: int, seed: int) -> None:
        zones = len(city.zones)
        self._id, self._water, self._seed, self._now_us = city.zones.id, water, seed, start_us
        self._slug = [city.communes[c].slug for c in city.zones.commune.tolist()]
        self._first_meter = np.searchsorted(city.meter_zone, np.arange(zones + 1))
        self._burst = Spans.of(faults, "main_burst", zones)
        self._changes = changes(faults, KIND, "zone")
        self._phase = phases(seed + 91, zones, SAMPLE_S)
        hello = start_us + phases(seed + 92, zones, HELLO_S) * SECOND_US + 1
        self._hello = [(int(at), row) for row, at in enumerate(hello)]

    def step(self, now_us: int) -> list[Message]:
        """The messages due since the last step, in order of time."""
        since, self._now_us = self._now_us, now_us
        occasions = [
            *due(since, now_us, SAMPLE_S, self._phase),
            *once(since, now_us, self._hello),
            *once(since, now_us, self._changes),
        ]
        return [self._say(at, zone) for at, zone in sorted(occasions)]

    def _say(self, at: int, zone: int) -> Message:
        meters = np.arange(self._first_meter[zone], self._first_meter[zone + 1])
        before, now = (float(self._water.drawn_m3(meters, us).sum()) for us in (at - SAMPLE_S * SECOND_US, at))
        lost_m3h = LOSS_M3H_PER_METER * len(meters)
        is_burst = bool(self._burst.start_us[zone] <= at < self._burst.end_us[zone])
        start, end = int(self._burst.start_us[zone]), int(self._burst.end_us[zone])
        spilt_m3 = BURST_M3H * (min(max(at, start), end) - start) / HOUR_US
        flow = (now - before) * 3600 / SAMPLE_S + lost_m3h + BURST_M3H * is_burst
        strain = min(1.0, flow / (LIVELY_M3H_PER_METER * len(meters)))
        wobble = float(jitter(self._seed, np.array([zone]), np.array([at]))[0])
        reading = ZoneReading(
            ts=at // 1000,
            total_m3=round(now + lost_m3h * at / HOUR_US + spilt_m3, 3),
            flow_m3h=round(flow, 2),
            pressure_bar=round(REST_BAR - DROP_BAR * strain - BURST_BAR * is_burst + 0.03 * wobble, 2),
            flow_jump=is_burst,
            hammer=False,
        )
        return Message(at, topic(self._slug[zone], KIND, self._id[zone]), encode(reading))
