"""What the hub's processes say: structlog, one line per fact, JSON on request."""

import logging
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TextIO, cast

import structlog


@dataclass(frozen=True)  # no slots: structlog refers to it weakly
class Lossy:
    """Standard error as a process can go on without: on a full disk lines are lost, and nothing else."""

    stream: TextIO

    def write(self, text: str) -> None:
        with suppress(OSError):
            self.stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self.stream.flush()


def configure(log_format: Literal["console", "json"]) -> None:
    """Make structlog write to standard error, for people or for machines."""
    renderer = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S", utc=False),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, Lossy(sys.stderr))),
    )
