"""Live frames: what the boards show, as differences from what was last shown. Pure but for the publisher at the end."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import aiomqtt
import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from devices.frame import Frame
from devices.kind import Formula
from devices.transition import Transition
from hub.clock import Clock, pauses
from hub.settings import BrokerAddress
from rules.board import Board
from rules.view import View, states

logger = structlog.get_logger("live")

FRAME_EVERY_S = 1.0
KEY_FRAME_EVERY_S = 30.0
QUIET_FRAMES = 4
"""So many frames are left out when nothing changes; then an empty one shows that the worker lives."""
CLOCK_TOPIC = "beffroi/clock"
ALERTS_TOPIC = "beffroi/alerts"

Position = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(slots=True)
class Screen:
    """What one kind's frames have shown so far."""

    epoch: int
    seq: int = 0
    left_out: int = 0
    board: Board | None = None
    state: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    position: Position | None = None

    def frame(self, board: Board, at_us: int, *, whole: bool) -> Frame | None:
        """The next frame, None when nothing changed lately; all devices when asked or when the registry changed."""
        state = states(board)
        position = _position(board)
        key = whole or board is not self.board
        rows = np.arange(len(board)) if key else np.flatnonzero(self._changed(state, position))
        self.board, self.state, self.position = board, state, position
        if not key and not len(rows) and self.left_out < QUIET_FRAMES:
            self.left_out += 1
            return None
        self.left_out = 0
        self.seq += 1
        return Frame.of(
            board.kind.name,
            epoch=self.epoch,
            seq=self.seq,
            key=key,
            at_us=at_us,
            device_no=board.device_no[rows],
            state=state[rows],
            position=(position[0][rows], position[1][rows]) if position else None,
        )

    def _changed(self, state: NDArray[np.uint8], position: Position | None) -> NDArray[np.bool_]:
        changed: NDArray[np.bool_] = state != self.state
        if position and self.position:
            for now, before in zip(position, self.position, strict=True):
                changed |= (now != before) & ~(np.isnan(now) & np.isnan(before))
        return changed


def _position(board: Board) -> Position | None:
    """Where devices are now; unknown of those whose place is nobody's business."""
    kind = board.kind
    if not kind.is_mobile:
        return None
    lat, lon = (board.values[kind.field_index(axis)].copy() for axis in ("lat", "lon"))
    if kind.withheld is not None:
        hidden = Formula.of(kind.withheld)(View(board, np.arange(len(board)), 0))
        lat[hidden] = lon[hidden] = np.nan
    return lat, lon


class Live:
    """Publishes frames and transitions; a broker that is away costs frames, never readings."""

    def __init__(self, broker: BrokerAddress, clock: Clock) -> None:
        self.broker = broker
        self._clock = clock
        self._epoch = clock.now_us()
        self._screens: dict[str, Screen] = {}
        self._transitions: list[Transition] = []
        self._lost_at_s: float | None = time.monotonic()

    def away_s(self) -> float:
        """For how long the broker has been away, in real seconds; 0 while it is there."""
        return 0.0 if self._lost_at_s is None else time.monotonic() - self._lost_at_s

    def tell(self, transitions: Sequence[Transition]) -> None:
        """Publish these with the next frames, for whoever listens; tele-alert has them from its own log."""
        self._transitions = [*self._transitions, *transitions][-10_000:]

    async def run(self, boards: Mapping[str, Board]) -> None:
        """Publish for ever; `boards` is looked at anew for every frame."""
        waits, is_lost = pauses(), False
        while True:
            try:
                async with aiomqtt.Client(**self.broker.client_arguments()) as client:
                    if is_lost:
                        logger.info("live frames are published again")
                    waits, is_lost, self._lost_at_s = pauses(), False, None
                    await client.publish(CLOCK_TOPIC, msgspec.json.encode({"clock": str(self._clock)}), retain=True)
                    await self._publish(client, boards)
            except aiomqtt.MqttError as error:
                if not is_lost:
                    logger.warning("live frames are not published, trying again", why=str(error))
                is_lost, self._lost_at_s = True, self._lost_at_s or time.monotonic()
                await asyncio.sleep(next(waits))

    async def _publish(self, client: aiomqtt.Client, boards: Mapping[str, Board]) -> None:
        loop = asyncio.get_running_loop()
        key_frame_at = 0.0
        while True:
            whole = loop.time() >= key_frame_at
            if whole:
                key_frame_at = loop.time() + KEY_FRAME_EVERY_S
            for frame in self.frames(boards, whole=whole):
                await client.publish(frame.topic, frame.encode(), qos=0, retain=frame.key)
            transitions, self._transitions = self._transitions, []
            for transition in transitions:
                await client.publish(ALERTS_TOPIC, transition.encode(), qos=0)
            await asyncio.sleep(FRAME_EVERY_S)

    def frames(self, boards: Mapping[str, Board], *, whole: bool) -> Iterator[Frame]:
        """The next frame of every kind that has something to show."""
        for name, board in boards.items():
            screen = self._screens.setdefault(name, Screen(self._epoch))
            if (frame := screen.frame(board, self._clock.now_us(), whole=whole)) is not None:
                yield frame
