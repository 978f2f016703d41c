"""The city as it is now: follows the worker's frames on the broker and keeps one picture per kind."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiomqtt
import msgspec
import structlog

from dashboard.picture import BadFrame, Picture
from devices.frame import Frame
from hub.clock import pauses
from hub.settings import BrokerAddress
from store.broker_queue import TOPICS, Told

log = structlog.get_logger(__name__)

LIVE_TOPIC = "beffroi/live/#"
LATE_S = 10.0
"""Without a frame for this long the page says that it shows the past."""


class Bell:
    """Wakes everybody who waits; whoever took `next` before the bell rang cannot miss it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        return self._event

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()


@dataclass(slots=True)
class Live:
    """Pictures by kind, and how fresh they are; times of freshness are of the machine's steady clock."""

    pictures: Mapping[str, Picture]
    bell: Bell = field(default_factory=Bell)
    is_connected: bool = False
    last_frame_s: float | None = None
    bad_frames: int = 0
    is_closing: bool = False
    told: Told = field(default_factory=Told)
    """By the broker, of what waits in it."""

    def close(self) -> None:
        """The process ends: so do the streams."""
        self.is_closing = True
        self.bell.ring()

    def age_s(self) -> float | None:
        """Seconds since the last frame, None when there was none."""
        return None if self.last_frame_s is None else time.monotonic() - self.last_frame_s

    @property
    def is_late(self) -> bool:
        age_s = self.age_s()
        return age_s is None or age_s > LATE_S

    def take(self, payload: bytes, *, is_kept: bool = False) -> None:
        """Put a frame into its picture; a bad frame is counted and changes nothing.

        A frame that the broker kept for us says what was, not that the worker still lives.
        """
        try:
            frame = Frame.decode(payload)
            picture = self.pictures.get(frame.kind)
            if picture is None:
                raise BadFrame(f"a live frame of the unknown kind {frame.kind}")
            changed = picture.apply(frame)
        except (msgspec.MsgspecError, BadFrame) as error:
            self.bad_frames += 1
            log.warning("live frame refused", reason=str(error), refused=self.bad_frames)
            return
        if not is_kept:
            self.last_frame_s = time.monotonic()
        if changed:
            self.bell.ring()


async def follow(live: Live, mqtt_url: str) -> None:
    """Follow the frames for ever; when the broker goes away, come back with growing pauses."""
    broker = BrokerAddress.parse(mqtt_url)
    waits, is_told = pauses(), False
    while True:
        try:
            async with aiomqtt.Client(**broker.client_arguments(), keepalive=10) as client:
                await client.subscribe([(topic, 0) for topic in (LIVE_TOPIC, *TOPICS)])
                live.is_connected, waits, is_told = True, pauses(), False
                log.info("follows the live frames", broker=str(broker))
                async for message in client.messages:
                    if isinstance(message.payload, bytes) and not live.told.take(message.topic.value, message.payload):
                        live.take(message.payload, is_kept=message.retain)
        except aiomqtt.MqttError as error:
            if not is_told:
                log.warning("the broker is away, trying again", reason=str(error))
            is_told = True
        live.is_connected, live.told = False, Told()
        live.bell.ring()
        await asyncio.sleep(next(waits))
