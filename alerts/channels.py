"""Where notifications go: any address that apprise understands, or a file. Talks to the outside.

Addresses hold secrets: a channel is named by its place in the settings, and no message of ours repeats an address.
"""

import logging
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import apprise

from alerts.disk import append
from hub.clock import Clock
from hub.errors import BadSetting, BeffroiError
from hub.settings import Settings

SEND_LIMIT_S = 25.0
_ANSWER = re.compile(r"error=(\d{3})\b")


class NotSent(BeffroiError):
    """A channel did not take a notification; the text says why, without the address."""


class Channel(Protocol):
    """Somewhere a notification can go."""

    @property
    def name(self) -> str:
        """As the outbox calls it."""

    def send(self, title: str, body: str) -> None:
        """Send, blocking for at most about 25 s; returns when it was taken, NotSent otherwise."""


@dataclass(frozen=True, slots=True)
class FileChannel:
    """One line per notification, appended and on disk when `send` returns."""

    path: Path
    clock: Clock
    name: str = "file"

    def send(self, title: str, body: str) -> None:
        at = datetime.isoformat(self.clock.now(), timespec="seconds")
        line = " ".join(f"{at} {title} | {body}".split()) + "\n"
        try:
            append(self.path, line.encode())
        except OSError as error:
            raise NotSent(f"the file {self.path} cannot be written: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """An apprise address."""

    name: str
    address: apprise.Apprise

    def send(self, title: str, body: str) -> None:
        result = self.address.notify(body=body, title=title, timeout=SEND_LIMIT_S)
        if result:
            return
        answers = [found[1] for entry in result.logs() if (found := _ANSWER.search(entry.message))]
        if answers:
            raise NotSent(f"its server refused the message with status {answers[-1]}")
        if result.status == apprise.AppriseResultStatus.TIMEOUT:
            raise NotSent(f"its server took no message within {SEND_LIMIT_S:.0f} s")
        raise NotSent("its server cannot be reached or refused the message")


def channels(settings: Settings, clock: Clock) -> list[Channel]:
    """The channels of the settings, or the file in the home when there are none; BadSetting for a wrong address."""
    if not settings.notify_urls:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        return [FileChannel(settings.home / "notifications.log", clock)]
    _hush()
    return [_apprise(str(position), url) for position, url in enumerate(settings.notify_urls, start=1)]


def _apprise(name: str, url: str) -> AppriseChannel:
    address = apprise.Apprise()
    if not address.add(url):
        raise BadSetting(
            f"BEFFROI_NOTIFY_URLS: address number {name} is none that apprise understands; see its list of services"
        )
    return AppriseChannel(name, address)


def _hush() -> None:
    """apprise's own log lines may show parts of an address: keep them to ourselves."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
