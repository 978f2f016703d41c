"""The folder of a backup: what goes in, in which order, and what an unfinished one is called."""

from pathlib import Path

import pytest

from hub.backup import copy_home, fetch_home, home_files, look_at_log, new_folder
from hub.errors import BadFile, BadSetting
from ingest.log import LogReader, LogWriter, Message

LEFT_OUT = (
    *("postgres/data/PG_VERSION", "runtime/servers/x", "logs/worker.log", "up.lock", "restoring/log/id"),
    *("before-restore-1/secrets.json", "mosquitto/passwords", "mosquitto/pid", "mosquitto/mosquitto.db.new"),
    *(".secrets.json.77", "rules.new", "log/lock", "log/hold", "transitions/hold"),
)
TAKEN = (
    *("accounts.json", "clock.json", "secrets.json", "something/new.json", "rules.npz"),
    *("transitions/head", "transitions/00000000000000000000.log", "log/head", "log/00000000000000000000.log"),
    *("log/00000000000000000009.log", "log/id", "mosquitto/mosquitto.db"),
)


def test_all_of_a_home_is_taken_but_what_is_made_again_in_the_order_of_its_flow(tmp_path: Path) -> None:
    for name in (*TAKEN, *LEFT_OUT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "elsewhere").symlink_to("/etc")
    assert [str(path) for path in home_files(tmp_path)] == list(TAKEN)


def test_a_log_that_is_written_meanwhile_is_copied_whole(tmp_path: Path) -> None:
    with LogWriter(tmp_path / "home/log") as log:
        log.append([Message(0, 1, "city", "city/a", b"{}")] * 3)
        copied = copy_home(tmp_path / "home", tmp_path / "copy")
        log.append([Message(0, 1, "city", "city/a", b"{}")] * 4)
    assert {file.path for file in copied} == {"log.mark", "log/head", "log/id", f"log/{0:020d}.log"}
    with next((tmp_path / "copy/log").glob("*.log")).open("ab") as segment:
        segment.write(b"BFR1 a torn batch")
    seen = look_at_log(tmp_path / "copy/log")
    assert seen and (seen.first_offset, seen.next_offset) == (0, 3)
    with LogWriter(tmp_path / "copy/log") as again:
        assert again.append([Message(0, 1, "city", "city/b", b"{}")]) == 3
    assert [m.topic for m in LogReader(tmp_path / "copy/log").read(2, 10)] == ["city/a", "city/b"]


def test_a_folder_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "to/night") as unfinished:
        assert (unfinished.name, unfinished.stat().st_mode & 0o777) == ("night.unfinished", 0o700)
        (unfinished / "file").touch()
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["night"]
    with pytest.raises(BadSetting, match="night is there and not empty"), new_folder(tmp_path / "to/night"):
        pass


def test_what_fails_leaves_nothing_and_what_was_killed_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile), new_folder(tmp_path / "night") as unfinished:
        (unfinished / "database").mkdir()
        (unfinished / "database/file").touch()
        raise BadFile("out of luck")
    assert not list(tmp_path.iterdir())
    (tmp_path / "night.unfinished").mkdir()
    with pytest.raises(BadSetting, match=r"night.unfinished is what a backup left"), new_folder(tmp_path / "night"):
        pass


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    with new_folder(tmp_path / "night"):
        pass
    assert (tmp_path / "night").is_dir()


def test_a_file_that_is_not_in_the_backup_is_missed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/secrets.json").write_text("{}")
    copied = copy_home(tmp_path / "home", tmp_path / "backup/home")
    fetch_home(tmp_path / "backup", copied, tmp_path / "again")
    (tmp_path / "backup/home/secrets.json").unlink()
    with pytest.raises(BadFile, match=r"is damaged: .*secrets.json: No such file"):
        fetch_home(tmp_path / "backup", copied, tmp_path / "third")
