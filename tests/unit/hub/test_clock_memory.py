"""Hub time never goes back between two runs of one home."""

from pathlib import Path

import pytest

from hub.clock import SECOND_US, Clock
from hub.clock_memory import LEASE_S, ClockMemory, starting_clock
from hub.errors import BadFile, BadSetting
from hub.settings import Settings, Source
from hub.up import choose_clock, environment

NOW_US = 1_800_000_000 * SECOND_US
HOUR_US = 3600 * SECOND_US


def test_real_time_when_nothing_ran_ahead() -> None:
    assert starting_clock(NOW_US, None, 1.0).is_real
    assert starting_clock(NOW_US, NOW_US - HOUR_US, 1.0).is_real


def test_goes_on_from_where_it_stopped() -> None:
    clock = starting_clock(NOW_US, NOW_US + HOUR_US, 1.0)
    assert clock.at_us(NOW_US) == NOW_US + HOUR_US
    assert clock.at_us(NOW_US + SECOND_US) == NOW_US + HOUR_US + SECOND_US


@pytest.mark.parametrize("remembered_us", [None, NOW_US - HOUR_US, NOW_US + HOUR_US])
def test_a_higher_speed_starts_at_the_later_of_the_two(remembered_us: int | None) -> None:
    clock = starting_clock(NOW_US, remembered_us, 60.0)
    assert clock.at_us(NOW_US) == max(NOW_US, remembered_us or 0)
    assert clock.at_us(NOW_US + SECOND_US) - clock.at_us(NOW_US) == 60 * SECOND_US


def test_a_real_clock_leaves_no_file(tmp_path: Path) -> None:
    memory = ClockMemory(tmp_path / "clock.json")
    memory.renew(Clock(), NOW_US)
    assert memory.read_us() is None
    assert not memory.path.exists()


def test_a_killed_hub_never_goes_back(tmp_path: Path) -> None:
    memory = ClockMemory(tmp_path / "clock.json")
    clock = Clock(NOW_US, NOW_US, 60.0)
    memory.renew(clock, NOW_US + SECOND_US)
    last_us = clock.at_us(NOW_US + (1 + LEASE_S) * SECOND_US)
    assert (memory.read_us() or 0) >= last_us


def test_a_stopped_hub_goes_on_exactly_and_forgets_once_real_time_caught_up(tmp_path: Path) -> None:
    memory = ClockMemory(tmp_path / "clock.json")
    clock = Clock(NOW_US, NOW_US, 60.0)
    memory.close(clock, NOW_US + SECOND_US)
    assert memory.read_us() == NOW_US + 60 * SECOND_US
    memory.close(Clock(), NOW_US + HOUR_US)
    assert memory.read_us() is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_text("{}")
    with pytest.raises(BadFile, match=r"clock\.json"):
        ClockMemory(tmp_path / "clock.json").read_us()


def test_being_ahead_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    clock = choose_clock(Settings(), NOW_US + HOUR_US, 1.0, real_us=NOW_US)
    assert clock.hub_us == NOW_US + HOUR_US
    assert "1:00:00 ahead of real time" in capsys.readouterr().out
    assert choose_clock(Settings(), None, 1.0, real_us=NOW_US).is_real
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("speed", [0.0, -1.0, 1001.0, float("nan"), float("inf")])
def test_a_speed_that_cannot_be_is_a_wrong_setting(speed: float) -> None:
    with pytest.raises(BadSetting, match="speed"):
        choose_clock(Settings(), None, speed, real_us=NOW_US)


def test_processes_read_the_same_settings_and_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(NOW_US, NOW_US, 60.0)
    given = Settings(
        home=tmp_path, http_port=9090, notify_urls=("json://a", "json://b"), sources=(Source(name="x", topics=("t",)),)
    )
    for name, value in environment(given, clock).items():
        monkeypatch.setenv(name, value)
    read = Settings()
    assert (read.http_port, read.notify_urls, read.sources) == (9090, given.notify_urls, given.sources)
    assert (read.home, read.runtime_dir, read.clock) == (tmp_path, tmp_path / "runtime", str(clock))
