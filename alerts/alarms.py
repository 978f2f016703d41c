"""The hub's own alarms: which of its faults somebody is told of at night, after how long, and of their end. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from store.health import Code, Fault

PATIENCE_S: Mapping[Code, float] = {
    "broker_dropped": 0,
    "disk_full": 10,
    "disk_readonly": 10,
    "no_database": 30,
    "no_broker": 30,
    "other_log": 30,
    "log_gap": 30,
    "stuck": 30,
    "broker_queue": 30,
    "disk": 30,
    "database_full": 30,
    "unwritten": 30,
    "unaccounted": 60,
    "audit": 60,
    "clock": 60,
    "no_log": 120,
    "no_rules": 120,
    "behind": 120,
    "archive": 300,
}
"""How long, in real seconds, a fault of the hub must last before somebody is told."""
NEVER: frozenset[Code] = frozenset(
    {"silence", "notifications", "rollups", "over_quota", "too_many_strangers", "quarantine_full", "oversized"}
)
"""On the health page only: a silence may be the city's, and what waits to be sent or rolled up, or somebody who sends
too much and is held back, is no reason to wake anybody."""
OVER_S = 30.0
"""It must be gone for so long before its end is told."""
UNSEEN_WITHOUT: Mapping[Code, frozenset[Code]] = {
    "no_database": frozenset({"other_log", "log_gap", "stuck", "behind", "unaccounted", "audit", "clock", "archive"}),
    "no_broker": frozenset({"broker_queue", "broker_dropped"}),
}
"""Faults that cannot be seen while another lasts: they are neither there nor gone."""

Key = tuple[Code, str]
Turn = Literal["began", "ended"]


class Alarm(msgspec.Struct):
    """A fault of the hub, and the channels that were told of it."""

    code: Code
    name: str
    sentence: str
    since_us: int
    """Hub time at which it was first seen."""
    told: set[str] = msgspec.field(default_factory=set)


@dataclass(slots=True)
class _Watched:
    alarm: Alarm
    since_s: float
    gone_s: float | None = None


@dataclass(slots=True)
class Alarms:
    """What is wrong with the hub, and who knows. Times in seconds are of the machine's steady clock."""

    sentence: Callable[[Fault], str]
    """Says a fault in the language of notifications."""
    patience_s: Mapping[Code, float] = field(default_factory=lambda: PATIENCE_S)
    over_s: float = OVER_S
    _watched: dict[Key, _Watched] = field(default_factory=dict)

    def go_on(self, told: Iterable[Alarm], now_s: float) -> None:
        """Go on with alarms that were told before this process began."""
        self._watched.update({(alarm.code, alarm.name): _Watched(alarm, now_s) for alarm in told})

    @property
    def told(self) -> list[Alarm]:
        """Those that somebody was told of: what a restart must know."""
        return [watched.alarm for watched in self._watched.values() if watched.alarm.told]

    def see(self, faults: Sequence[Fault], now_s: float, now_us: int) -> None:
        """Take in what is wrong now."""
        there = {(fault.code, fault.name): fault for fault in faults if fault.code in self.patience_s}
        for key, fault in there.items():
            watched = self._watched.get(key)
            if watched is None:
                alarm = Alarm(fault.code, fault.name, "", now_us)
                watched = self._watched[key] = _Watched(alarm, now_s)
            watched.gone_s = None
            if not watched.alarm.told:
                watched.alarm.sentence = self.sentence(fault)
        unseen = {code for fault in faults for code in UNSEEN_WITHOUT.get(fault.code, ())}
        for key in [key for key in self._watched if key not in there and key[0] not in unseen]:
            watched = self._watched[key]
            if not watched.alarm.told:
                del self._watched[key]
            elif watched.gone_s is None:
                watched.gone_s = now_s

    def due(self, channel: str, now_s: float) -> tuple[Alarm, Turn] | None:
        """What a channel is to be told next, if anything."""
        for watched in self._watched.values():
            alarm = watched.alarm
            if watched.gone_s is None:
                lasted = now_s - watched.since_s >= self.patience_s.get(alarm.code, 0)
                if lasted and channel not in alarm.told:
                    return alarm, "began"
            elif now_s - watched.gone_s >= self.over_s and channel in alarm.told:
                return alarm, "ended"
        return None

    def tell(self, alarm: Alarm, turn: Turn, channel: str) -> None:
        """A channel has taken it. An alarm whose end was told to all who knew is forgotten."""
        if turn == "began":
            alarm.told.add(channel)
            return
        alarm.told.discard(channel)
        if not alarm.told:
            self._watched.pop((alarm.code, alarm.name), None)
