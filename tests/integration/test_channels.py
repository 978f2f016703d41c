"""Notification channels against real files and a real server, and what they must never tell."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from alerts.channels import Channel, FileChannel, NotSent, channels
from hub.clock import Clock
from hub.errors import BadSetting
from hub.settings import Settings

# apprise looks for a module that Python 3.13 removes; it does without.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


class Hook(BaseHTTPRequestHandler):
    """Takes what is posted to /yes and refuses the rest."""

    taken: list[dict[str, str]]

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        welcome = self.path.startswith("/yes")
        if welcome:
            self.taken.append(said)
        self.send_response(200 if welcome else 403)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A web hook: its address without a scheme, and what it took."""
    taken: list[dict[str, str]] = []
    server = HTTPServer(("127.0.0.1", 0), type("OneHook", (Hook,), {"taken": taken}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", taken
    server.shutdown()
    server.server_close()
    thread.join()


def only_channel(tmp_path: Path, url: str | None = None) -> Channel:
    settings = Settings(home=tmp_path / "home", notify_urls=(url,) if url else ())
    (channel,) = channels(settings, Clock())
    return channel


def test_without_an_address_a_file_takes_one_line_each(tmp_path: Path) -> None:
    channel = only_channel(tmp_path)
    channel.send("[P1] Alerte de panne", "Départ hors tension\nhttp://page/incidents/1")
    channel.send("[P1] Fin de panne", "Départ hors tension")
    lines = (tmp_path / "home" / "notifications.log").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("[P1] Alerte de panne | Départ hors tension http://page/incidents/1")


def test_file_that_cannot_be_written_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(NotSent, match="cannot be written"):
        FileChannel(tmp_path, Clock()).send("title", "body")


def test_apprise_address_takes_it(tmp_path: Path, hook: tuple[str, list[dict[str, str]]]) -> None:
    address, taken = hook
    only_channel(tmp_path, f"json://{address}/yes").send("[P1] Alerte", "Départ hors tension")
    assert [(said["title"], said["message"]) for said in taken] == [("[P1] Alerte", "Départ hors tension")]


def test_refusal_says_why_and_keeps_the_secret(
    tmp_path: Path, hook: tuple[str, list[dict[str, str]]], capfd: pytest.CaptureFixture[str]
) -> None:
    address, _ = hook
    channel = only_channel(tmp_path, f"json://agent:s3cret@{address}/no-t0ken")
    with pytest.raises(NotSent, match="status 403") as refused:
        channel.send("title", "body")
    told = str(refused.value) + "".join(capfd.readouterr())
    assert not any(secret in told for secret in ("s3cret", "no-t0ken", address))
    assert not logging.getLogger("apprise").propagate


def test_server_that_is_away_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(NotSent, match="cannot be reached"):
        only_channel(tmp_path, "json://127.0.0.1:9/yes").send("title", "body")


def test_wrong_address_is_a_wrong_setting_and_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="BEFFROI_NOTIFY_URLS: address number 1") as refused:
        only_channel(tmp_path, "nonsense-s3cret")
    assert "s3cret" not in str(refused.value)
