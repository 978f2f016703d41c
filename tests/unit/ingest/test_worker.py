"""The worker's ticks: whose silence is counted, and from when."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from devices.registry import Registry
from ingest.city import City
from ingest.log import LogReader, LogWriter
from ingest.worker import DEAF_S, Worker

DAY_US = 86_400_000_000
BEGAN_US = 20_000 * DAY_US
LAMP = (10, "dijon", "street_lighting", "L", "lamp", None, None, 47.3, 5.0, True, {"rated_power_w": 60})


@dataclass
class Air:
    """Whether the broker is there, and the time: all that a tick asks of the world."""

    lost_s: float = 0.0
    day: float = 0.0

    def away_s(self) -> float:
        return self.lost_s

    def settled_us(self) -> int:
        return BEGAN_US + int(self.day * DAY_US)


def test_nobody_is_taken_for_silent_while_the_broker_is_away(tmp_path: Path):
    air, nothing = Air(), Any
    voice = SimpleNamespace(live=air)
    LogWriter(tmp_path).close()
    log = LogReader(tmp_path)
    worker = Worker(tmp_path, log, voice, {}, "", air, City.of(Registry.of_rows(1, [LAMP])), nothing)  # type: ignore[arg-type]

    def told(day: float, lost_s: float) -> list[tuple[str, str]]:
        air.day, air.lost_s = day, lost_s
        return [(told.code, told.action) for told in worker.tick()]

    assert told(0, 0) == []
    assert told(3, DEAF_S + 1) == [], "it may well have spoken"
    assert told(3.001, 0) == [], "it is counted anew"
    assert told(3.002, DEAF_S - 1) == []
    assert told(4.5, 0) == [("lamp_silent", "fire")]
    assert told(5, DEAF_S + 1) == []
    assert told(5.001, 0) == [], "what was silent before stays so until it is heard"
