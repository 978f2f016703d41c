"""The rules' voice: what they tell is made durable in the log of transitions, then public."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from msgspec.structs import replace

from devices.transition import Transition
from hub.clock import Clock
from ingest.live import Live
from ingest.log import LogWriter, Message
from ingest.refusal import Refusal

logger = structlog.get_logger("worker")
RETRY_S = 1.0


def _muted() -> Refusal:
    return Refusal("the rules wait: what they tell cannot be written", "the rules go on")


@dataclass(slots=True)
class Voice:
    """Tells transitions in order, each once; waits while the disk refuses them, and who tells with it."""

    transitions: LogWriter
    clock: Clock
    live: Live
    waiting: int = 0
    """So many callers know of transitions that are not durable yet."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _muted: Refusal = field(default_factory=_muted)

    async def tell(self, told: Sequence[Transition], read_to: int) -> None:
        """Tell what the rules found in the log up to `read_to`."""
        if not told:
            return
        now_us = self.clock.now_us()
        told = [replace(transition, read_to=read_to) for transition in told]
        messages = [Message(0, now_us, "rules", t.topic, t.encode()) for t in told]
        self.waiting += 1  # stays when we are stopped while we wait: what the boards know is then not saved
        async with self._turn:
            while not self._appended(messages):  # noqa: ASYNC110
                await asyncio.sleep(RETRY_S)
        self.waiting -= 1
        self.live.tell(told)

    def _appended(self, messages: Sequence[Message]) -> bool:
        try:
            self.transitions.append(messages)
        except OSError as error:
            self._muted.began(f"{error.strerror} ({self.transitions.folder})")
            return False
        self._muted.ended()
        return True


async def open_transitions(folder: Path) -> LogWriter:
    """The log of transitions, to write; waits while its disk refuses."""
    refusal = Refusal("the rules wait: their log cannot be opened", "the rules' log is open")
    while True:
        try:
            transitions = LogWriter(folder)
        except OSError as error:
            refusal.began(f"{error.strerror} ({folder})")
            await asyncio.sleep(RETRY_S)
        else:
            refusal.ended()
            if transitions.surprise:
                logger.error(transitions.surprise)
            return transitions
