"""The survey reads all that a log keeps, whatever is damaged, and says exactly which offsets it could not."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.log import LogReader, LogWriter, Message, segments, trim
from ingest.survey import Gap, survey

BATCHES, SIZE = 12, 3
TOTAL = BATCHES * SIZE


def written(folder: Path) -> Path:
    """A log of 12 batches of 3 messages, in segments of two."""
    with LogWriter(folder, segment_bytes=300) as log:
        for number in range(BATCHES):
            log.append([Message(0, number, "city", f"topic/{number}", b"x" * 40)] * SIZE)
    assert [first for first, _ in segments(folder)] == list(range(0, TOTAL, 2 * SIZE))
    return folder


def told(folder: Path, until: int = TOTAL) -> tuple[list[int], list[tuple[int, int]]]:
    """The offsets that were read, and the gaps."""
    found = list(survey(LogReader(folder), until))
    read = [message.offset for one in found if not isinstance(one, Gap) for message in one]
    return read, [(one.first_offset, one.next_offset) for one in found if isinstance(one, Gap)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "log")


def test_everything_is_read_up_to_an_offset(folder: Path) -> None:
    assert told(folder) == (list(range(TOTAL)), [])
    assert told(folder, 10) == (list(range(10)), [])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(harms=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10_000), st.integers(1, 255)), max_size=3))
def test_any_bytes_that_change_cost_their_batches_and_no_others(tmp_path_factory, harms) -> None:
    folder = written(tmp_path_factory.mktemp("log"))
    harmed = set()
    for segment, place, change in harms:
        first, path = segments(folder)[segment]
        data = bytearray(path.read_bytes())
        data[place % len(data)] ^= change
        path.write_bytes(data)
        harmed.add(first + SIZE * (place % len(data) >= len(data) // 2))
    read, gaps = told(folder)
    lost = {offset for first, following in gaps for offset in range(first, following)}
    assert sorted([*read, *lost]) == list(range(TOTAL)), "each offset once"
    assert lost <= {offset + i for offset in harmed for i in range(SIZE)}
    assert harms or not lost


@pytest.mark.parametrize("number", range(6))
def test_a_segment_that_is_gone_is_a_gap_but_for_the_oldest(folder: Path, number: int) -> None:
    first, path = segments(folder)[number]
    path.unlink()
    read, gaps = told(folder)
    assert gaps == ([(first, first + 2 * SIZE)] if number else [])
    assert len(read) == TOTAL - 2 * SIZE


def test_a_log_that_is_all_gone_is_a_gap(folder: Path) -> None:
    for _, path in segments(folder):
        path.unlink()
    assert told(folder) == ([], [(0, TOTAL)])


@pytest.mark.parametrize("at", range(BATCHES))
def test_what_is_trimmed_meanwhile_is_no_gap(folder: Path, at: int) -> None:
    read = []
    for number, one in enumerate(survey(LogReader(folder), TOTAL)):
        assert not isinstance(one, Gap)
        read += [message.offset for message in one]
        if number == at:
            trim(folder, TOTAL)
    assert all(later > earlier for earlier, later in pairwise(read))
    assert read[-4 * SIZE :] == list(range(TOTAL - 4 * SIZE, TOTAL)), "the last two segments stay"
