"""The journal of calls: what it remembers over a kill, a torn line and a disk that refuses."""

import shutil
from pathlib import Path

import pytest
import structlog

from alerts.journal import Call, Journal, Sent
from hub.errors import AlreadyRunning

CALL = Call(2, "feeder_out", 1_000, 2_000, "opened")


def sent(number: int, channel: str = "1") -> Sent:
    return Sent(Call(number, "feeder_out", 1, 2, "opened"), channel, f"title {number}", "body", 3, "reason", 4)


def path(tmp_path: Path) -> Path:
    return tmp_path / "telealert" / "calls.journal"


async def test_what_went_out_is_known_to_the_next_process(tmp_path: Path) -> None:
    journal = Journal(path(tmp_path))
    await journal.add(Sent(CALL, "1", "title", "body", 5, "why"))
    journal.close()
    again = Journal(path(tmp_path))
    found = again.find(CALL, "1")
    assert found is not None and (found.sent_us, found.reason) == (5, "why")
    assert again.find(CALL, "2") is None, "another channel has not taken it"
    again.close()


@pytest.mark.parametrize("torn", [1, 20, 60])
async def test_a_torn_line_is_cut_and_the_others_count(tmp_path: Path, torn: int) -> None:
    journal = Journal(path(tmp_path))
    for number in (1, 2):
        await journal.add(sent(number))
    journal.close()
    whole = path(tmp_path).read_bytes()
    path(tmp_path).write_bytes(whole[:-torn])
    again = Journal(path(tmp_path))
    assert list(again.sent.values()) == [sent(1)]
    await again.add(sent(3))
    again.close()
    assert list(Journal(path(tmp_path)).sent.values()) == [sent(1), sent(3)]


async def test_what_is_forgotten_is_gone_from_the_file_and_the_rest_stays(tmp_path: Path) -> None:
    journal = Journal(path(tmp_path))
    for number in (1, 2, 3):
        await journal.add(sent(number))
    await journal.forget([(sent(number).call, "1") for number in (1, 3)])
    journal.close()
    assert list(Journal(path(tmp_path)).sent.values()) == [sent(2)]


async def test_a_disk_that_refuses_costs_the_memory_of_this_process_only(tmp_path: Path) -> None:
    journal = Journal(path(tmp_path))
    shutil.rmtree(tmp_path / "telealert")
    with structlog.testing.capture_logs() as lines:
        await journal.add(sent(1))
        await journal.forget([(sent(1).call, "1")])
    assert journal.find(sent(1).call, "1") == sent(1)
    assert [line["log_level"] for line in lines] == ["error", "warning"]


def test_a_second_tele_alert_is_refused(tmp_path: Path) -> None:
    first = Journal(path(tmp_path))
    with pytest.raises(AlreadyRunning, match="another tele-alert works on"):
        Journal(path(tmp_path))
    first.close()
    Journal(path(tmp_path)).close()
