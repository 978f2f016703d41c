"""Simulated street lighting: when gateways pass on what lamps, feeders and cabinets say. Pure."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from hub.clock import SECOND_US
from simulators.city import City
from simulators.faults import Fault, Spans, changes
from simulators.lamps import KIND, Feeders, Lamps
from simulators.night import Schedule
from simulators.wire import HELLO_S, Message, Reading, due, encode, noise, once, phases, topic

LAMP_S, FEEDER_S, CABINET_S = 900, 120, 300
LAMPS_OFF_EVERY = 4
"""By day lamps speak at every fourth of their occasions: once an hour."""
WILL_AFTER_S = 90
"""A broker publishes a dead client's last will after one and a half keep-alives of 60 s."""
LAMPS_AFTER_S = 20
"""Controllers speak so long after their feeder has changed."""
STORM_S = 60
"""A gateway that restarts again and again announces everything so often."""


class CabinetReading(Reading, gc=False, omit_defaults=True, kw_only=True):
    door_open: bool
    online: bool


class Lighting:
    """The lighting of a city from `start_us` on; `step` gives what is due since the last step."""

    def __init__(self, city: City, schedule: Schedule, faults: Sequence[Fault], start_us: int, seed: int) -> None:
        self._city, self._schedule, self._seed, self._now_us = city, schedule, seed, start_us
        self._lamps = Lamps(city, schedule, faults, seed)
        self._feeders = Feeders(city, schedule, faults, seed)
        cabinets = len(city.cabinets)
        self._slug = [city.communes[c].slug for c in city.cabinets.commune]
        self._mute = Spans.of(faults, "gateway_silent", cabinets)
        self._storm = Spans.of(faults, "config_storm", cabinets)
        self._changes = {type_: changes(faults, KIND, type_) for type_ in ("lamp", "feeder", "cabinet")}
        self._first_feeder = np.searchsorted(city.feeder_cabinet, np.arange(cabinets + 1))
        self._first_lamp = np.searchsorted(city.lamp_feeder, np.arange(len(city.feeders) + 1))
        self._switch_offset_us = (noise(seed, np.arange(cabinets), 1) * 120 * SECOND_US).astype(np.int64)
        self._phase = {period: phases(seed + period, cabinets, period) for period in (LAMP_S, FEEDER_S, CABINET_S)}
        hello = start_us + phases(seed, cabinets, HELLO_S) * SECOND_US + 1
        self._hello = [(int(at), row) for row, at in enumerate(hello)]

    def step(self, now_us: int) -> list[Message]:
        """The messages due since the last step, in order of time."""
        since, self._now_us = self._now_us, now_us
        messages = [
            *chain.from_iterable(self._greet(at, row) for at, row in once(since, now_us, self._hello)),
            *(self._say_lamps(at, row) for at, row in self._due(since, LAMP_S) if self._has_news(at, row)),
            *(self._say_feeders(at, row) for at, row in self._due(since, FEEDER_S)),
            *(self._cabinet(at, row) for at, row in self._due(since, CABINET_S)),
            *self._out_of_turn(since),
            *self._of_gateways(since),
        ]
        return sorted((m for m in messages if m is not None), key=lambda message: message.due_us)

    def _due(self, since_us: int, period_s: int) -> list[tuple[int, int]]:
        return due(since_us, self._now_us, period_s, self._phase[period_s])

    def _is_mute(self, at: int, cabinet: int) -> bool:
        return bool(self._mute.start_us[cabinet] <= at < self._mute.end_us[cabinet])

    def _level(self, at: int, cabinet: int) -> float:
        return self._schedule.level_at(at - int(self._switch_offset_us[cabinet]))

    def _has_news(self, at: int, cabinet: int) -> bool:
        """Lit, just switched off, or its hourly turn."""
        turn = at // (LAMP_S * SECOND_US) % LAMPS_OFF_EVERY == cabinet % LAMPS_OFF_EVERY
        return turn or self._level(at, cabinet) > 0 or self._level(at - LAMP_S * SECOND_US, cabinet) > 0

    def _greet(self, at: int, cabinet: int) -> list[Message | None]:
        return [
            self._state(at, cabinet, online=not self._is_mute(at, cabinet)),
            self._cabinet(at, cabinet),
            self._say_feeders(at, cabinet),
            self._say_lamps(at, cabinet),
        ]

    def _out_of_turn(self, since_us: int) -> list[Message | None]:
        """What lamps and feeders say when a fault begins or ends."""
        now, city = self._now_us, self._city
        told = [*once(since_us, now, self._changes["lamp"]), *self._lamps.flips(since_us, now)]
        on_feeder = [(at, int(city.lamp_feeder[row])) for at, row in told]
        late = [(at + LAMPS_AFTER_S * SECOND_US, row) for at, row in self._changes["feeder"]]
        on_feeder += once(since_us, now, late)
        feeders = once(since_us, now, self._changes["feeder"])
        return [
            *(self._say_lamps(at, int(city.feeder_cabinet[row]), feeder=row) for at, row in on_feeder),
            *(self._say_feeder(at, row) for at, row in feeders),
            *(self._cabinet(at, row) for at, row in once(since_us, now, self._changes["cabinet"])),
        ]

    def _of_gateways(self, since_us: int) -> list[Message | None]:
        """What the death of a gateway, its return, or its madness makes of it."""
        said: list[Message | None] = []
        for at, row in once(since_us, self._now_us, self._mute.begins(WILL_AFTER_S * SECOND_US)):
            if self._is_mute(at, row):
                said.append(self._state(at, row, online=False))
        for at, row in once(since_us, self._now_us, self._mute.ends()):
            said += self._greet(at, row)
        mad = np.array(self._storm.rows, np.int64)
        for at, number in due(since_us, self._now_us, STORM_S, np.zeros(len(mad), np.int64)):
            if self._storm.during(mad[number : number + 1], at)[0]:
                said += self._announce(at, int(mad[number]))
        return said

    def _announce(self, at: int, cabinet: int) -> list[Message]:
        """The retained configuration of a cabinet and of all that hangs on it."""
        city = self._city
        feeders = range(*self._first_feeder[cabinet : cabinet + 2])
        lamps = range(self._first_lamp[feeders.start], self._first_lamp[feeders.stop])
        told = [(city.cabinets.id[cabinet], {"type": "cabinet"})]
        told += [(city.feeders.id[row], {"type": "feeder", "parent": city.cabinets.id[cabinet]}) for row in feeders]
        told += [
            (city.lamps.id[row], {"type": "lamp", "parent": city.feeders.id[city.lamp_feeder[row]]}) for row in lamps
        ]
        return [
            Message(at, topic(self._slug[cabinet], KIND, id_, "config"), encode(config), True) for id_, config in told
        ]

    def _say_lamps(self, at: int, cabinet: int, feeder: int | None = None) -> Message | None:
        """A batch of the lamps that have supply: those of a cabinet, or of one of its feeders."""
        if self._is_mute(at, cabinet):
            return None
        feeders = self._first_feeder[cabinet : cabinet + 2] if feeder is None else np.array([feeder, feeder + 1])
        rows = np.arange(self._first_lamp[feeders[0]], self._first_lamp[feeders[1]])
        readings = self._lamps.readings(at, self._lamps.heard(at, rows), self._level(at, cabinet))
        return self._message(at, cabinet, "batch", readings) if readings else None

    def _say_feeders(self, at: int, cabinet: int) -> Message | None:
        if self._is_mute(at, cabinet):
            return None
        rows = np.arange(self._first_feeder[cabinet], self._first_feeder[cabinet + 1])
        return self._message(at, cabinet, "batch", self._feeders.readings(at, rows, self._level(at, cabinet)))

    def _say_feeder(self, at: int, row: int) -> Message | None:
        """A feeder that does not wait for its turn."""
        cabinet = int(self._city.feeder_cabinet[row])
        if self._is_mute(at, cabinet):
            return None
        (reading,) = self._feeders.readings(at, np.array([row]), self._level(at, cabinet))
        reading.id = None
        return Message(at, topic(self._slug[cabinet], KIND, self._city.feeders.id[row]), encode(reading))

    def _cabinet(self, at: int, cabinet: int) -> Message | None:
        if self._is_mute(at, cabinet):
            return None
        return self._message(at, cabinet, "telemetry", CabinetReading(ts=at // 1000, door_open=False, online=True))

    def _state(self, at: int, cabinet: int, *, online: bool) -> Message:
        """Retained: a birth with its time, or the last will, which was written beforehand and knows no time."""
        payload = {"ts": at // 1000, "online": True} if online else {"online": False}
        return self._message(at, cabinet, "state", payload, retain=True)

    def _message(self, at: int, cabinet: int, leaf: str, payload: object, *, retain: bool = False) -> Message:
        where = topic(self._slug[cabinet], KIND, self._city.cabinets.id[cabinet], leaf)
        return Message(at, where, encode(payload), retain)
