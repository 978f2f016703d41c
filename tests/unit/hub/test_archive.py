"""The shell of the archive, run as PostgreSQL runs it: nothing is replaced, what is damaged is no end."""

import subprocess
from pathlib import Path

import pytest

from hub.runtime.archive import archive_command, as_value, number_of, restore_command, segment_in, segment_of
from hub.runtime.recovery import unused

NAME = "000000010000000000000003"


def run(command: str, path: Path) -> int:
    """As PostgreSQL runs it: %p and %f in place of what they mean, %% of a percent."""
    for sign, meant in (("%p", str(path)), ("%f", NAME), ("%%", "%")):
        command = command.replace(sign, meant)
    return subprocess.run(["sh", "-c", command], capture_output=True, check=False).returncode


@pytest.fixture(params=["archive", "it's a 100% \\ archive"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / str(request.param)
    folder.mkdir()
    return folder


def test_what_is_archived_is_fetched_back(archive: Path, tmp_path: Path) -> None:
    segment, back = tmp_path / "segment", tmp_path / "back"
    segment.write_bytes(bytes(range(256)) * 4096)
    assert run(archive_command(archive), segment) == 0
    assert [path.name for path in archive.iterdir()] == [f"{NAME}.gz"]
    assert run(restore_command(archive), back) == 0 and back.read_bytes() == segment.read_bytes()


def test_the_same_again_is_well_and_another_content_is_refused(archive: Path, tmp_path: Path) -> None:
    segment = tmp_path / "segment"
    segment.write_bytes(b"one")
    assert run(archive_command(archive), segment) == 0
    kept = (archive / f"{NAME}.gz").read_bytes()
    assert run(archive_command(archive), segment) == 0
    segment.write_bytes(b"two")
    assert run(archive_command(archive), segment) != 0
    assert (archive / f"{NAME}.gz").read_bytes() == kept


def test_an_archive_that_is_away_fails(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "segment").write_bytes(b"one")
    archive.rmdir()
    assert run(archive_command(archive), tmp_path / "segment") != 0
    assert run(restore_command(archive), tmp_path / "back") > 125, "not the end of the archive"


def test_a_file_that_is_not_there_is_the_end_and_a_damaged_one_is_not(archive: Path, tmp_path: Path) -> None:
    assert run(restore_command(archive), tmp_path / "back") == 1
    (archive / f"{NAME}.gz").write_bytes(b"no gzip")
    assert run(restore_command(archive), tmp_path / "back") > 125


def test_a_value_is_quoted() -> None:
    assert as_value(r"it's \ one") == r"'it''s \\ one'"


def test_names_of_segments() -> None:
    assert segment_of(2, "1A/2B000028") == "000000020000001A0000002B"
    assert number_of(segment_of(1, "1/0")) - number_of(segment_of(1, "0/FF000000")) == 1
    assert [segment_in(name) for name in (f"{NAME}.gz", f"{NAME}.gz.new", "00000002.history.gz")] == [NAME, "", ""]


@pytest.mark.parametrize(
    ("ended_at", "kept", "is_told"),
    [
        ("0/5FFFF00", [3, 4, 5], False),
        ("0/6000000", [3, 4, 5], False),
        ("0/4FFFFF8", [3, 4, 5], False),
        ("0/5000000", [3, 4, 6], True),
        ("0/4FFFFF8", [3, 4, 6], True),
        ("0/3FFFFF8", [3, 4, 5], True),
        ("0/3FFFFF8", [], False),
    ],
    ids=["end", "boundary", "half a record", "hole", "hole behind half a record", "damaged", "no archive"],
)
def test_an_archive_that_goes_on_is_told(tmp_path: Path, ended_at: str, kept: list[int], is_told: bool) -> None:
    (tmp_path / "pg_wal").mkdir()
    (tmp_path / "archive").mkdir()
    (tmp_path / "pg_wal/00000002.history").write_text(f"1\t{ended_at}\tno recovery target specified\n")
    for number in kept:
        (tmp_path / f"archive/{1:08X}{0:08X}{number:08X}.gz").touch()
    assert bool(unused(tmp_path, 1, tmp_path / "archive")) is is_told
