"""What every device of a kind shows now, and what changed lately, from the worker's frames. Pure.

A browser is not a queue: it is a place in this history (a revision). Asked what changed since, the picture
answers with the changes, or with nothing when the place is too old; then the browser gets the full picture.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.frame import Frame

ABSENT = 255
"""In place of a state: the device is not (or no longer) part of the picture."""
RECENT_FRAMES = 300
"""How many frames can be caught up with: five minutes at one a second."""
MAX_DEVICE_NO = 50_000_000

Item = TypeVar("Item", bound=np.generic)
Positions = tuple[NDArray[np.float32], NDArray[np.float32]] | None


class BadFrame(ValueError):
    """A frame whose arrays do not fit together or whose numbers cannot be devices."""


class Change(msgspec.Struct, frozen=True):
    """States (and positions) as a browser gets them: JSON, arrays little-endian in base64."""

    kind: str
    at_us: int
    full: bool
    """Replaces all that the browser has of the kind."""
    device_no: bytes
    """int32"""
    state: bytes
    """uint8: devices.kind.State, or ABSENT"""
    lat: bytes | None = None
    """float32, degrees"""
    lon: bytes | None = None

    def encode(self) -> str:
        return msgspec.json.encode(self).decode()


@dataclass(frozen=True, slots=True)
class Place:
    """How far a browser has come with the frames of one kind, in words that every process understands."""

    epoch: int
    seq: int


def parse_places(event_id: str | None) -> dict[str, Place]:
    """The places in a `Last-Event-ID`: `kind.epoch.seq`, joined by commas; what is not that is left out."""
    places = {}
    for part in (event_id or "").split(","):
        kind, _, rest = part.strip().partition(".")
        epoch, _, seq = rest.partition(".")
        if kind and epoch.isdecimal() and seq.isdecimal():
            places[kind] = Place(int(epoch), int(seq))
    return places


def format_places(places: Mapping[str, Place | None]) -> str:
    """An event id that `parse_places` reads; kinds without a place are left out."""
    return ",".join(f"{kind}.{place.epoch}.{place.seq}" for kind, place in places.items() if place)


@dataclass(frozen=True, slots=True)
class _Moment:
    revision: int
    place: Place | None
    changed: NDArray[np.int32]


@dataclass(slots=True)
class Picture:
    """The last state of every device of a kind, in arrays indexed by device number.

    `revision` counts the frames applied here; `place` is where the worker was, or None after a lost frame until
    the next key frame: another process may know what we missed, so nobody may resume from such a moment.
    """

    kind: str
    revision: int = 0
    place: Place | None = None
    at_us: int = 0
    _last: Place | None = None
    _state: NDArray[np.uint8] = field(default_factory=lambda: np.full(0, ABSENT, np.uint8))
    _lat: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    _lon: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    _is_mobile: bool = False
    _recent: deque[_Moment] = field(default_factory=lambda: deque(maxlen=RECENT_FRAMES))
    _full: tuple[int, str] | None = None

    @classmethod
    def of(cls, kind: str) -> Self:
        return cls(kind)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._state != ABSENT))

    def state(self, device_no: int) -> int | None:
        """A device's state, None when the picture does not hold it."""
        if not 0 <= device_no < len(self._state) or self._state[device_no] == ABSENT:
            return None
        return int(self._state[device_no])

    def counts(self, device_no: NDArray[np.int32] | None = None) -> NDArray[np.intp]:
        """How many devices show each state, shape (256,); of all, or of these numbers."""
        state = self._state
        if device_no is not None:
            state = state[device_no[(device_no >= 0) & (device_no < len(state))]]
        return np.bincount(state[state != ABSENT], minlength=ABSENT + 1)

    def apply(self, frame: Frame) -> bool:
        """Take a frame in; True when something changed. BadFrame leaves the picture as it was."""
        device_no, state, positions = _checked(frame)
        if not frame.key and (self._last is None or frame.epoch != self._last.epoch):
            return False  # a delta of a worker whose key frame we have not seen
        changed = self._replace(device_no, state, positions) if frame.key else self._write(device_no, state, positions)
        self._remember(frame, changed)
        return len(changed) > 0

    def since(self, revision: int) -> str | None:
        """What changed after a revision, encoded; "" when nothing did, None when that is too long ago."""
        if revision == self.revision:
            return ""
        if not self._recent or revision < self._recent[0].revision - 1 or revision > self.revision:
            return None
        changed = [moment.changed for moment in self._recent if moment.revision > revision]
        device_no = np.unique(np.concatenate(changed))
        return self._show(device_no, full=False).encode() if len(device_no) else ""

    def locate(self, place: Place | None) -> int | None:
        """The revision at which a browser left off, here or at another process; None when unknown here."""
        if place is None:
            return None
        return next((m.revision for m in reversed(self._recent) if m.place == place), None)

    def full(self) -> str:
        """The whole picture, encoded once per revision."""
        if self._full is None or self._full[0] != self.revision:
            device_no = np.flatnonzero(self._state != ABSENT).astype(np.int32)
            self._full = (self.revision, self._show(device_no, full=True).encode())
        return self._full[1]

    def _show(self, device_no: NDArray[np.int32], *, full: bool) -> Change:
        lat = lon = None
        if self._is_mobile:
            lat, lon = (axis[device_no].astype("<f4").tobytes() for axis in (self._lat, self._lon))
        numbers = device_no.astype("<i4").tobytes()
        return Change(self.kind, self.at_us, full, numbers, self._state[device_no].tobytes(), lat, lon)

    def _replace(
        self, device_no: NDArray[np.int32], state: NDArray[np.uint8], positions: Positions
    ) -> NDArray[np.int32]:
        """Forget all and write anew; the devices for which that makes a difference."""
        self._grow(int(device_no.max(initial=-1)) + 1)
        state_before, lat_before, lon_before = self._state.copy(), self._lat.copy(), self._lon.copy()
        self._state.fill(ABSENT)
        self._lat.fill(np.nan)
        self._lon.fill(np.nan)
        self._write(device_no, state, positions)
        differs = (self._state != state_before) | _differ(self._lat, lat_before) | _differ(self._lon, lon_before)
        return np.flatnonzero(differs).astype(np.int32)

    def _write(self, device_no: NDArray[np.int32], state: NDArray[np.uint8], positions: Positions) -> NDArray[np.int32]:
        self._grow(int(device_no.max(initial=-1)) + 1)
        self._state[device_no] = state
        if positions is not None:
            self._is_mobile = True
            self._lat[device_no], self._lon[device_no] = positions
        return device_no

    def _grow(self, size: int) -> None:
        self._state = _grown(self._state, size, ABSENT)
        self._lat, self._lon = _grown(self._lat, size, np.nan), _grown(self._lon, size, np.nan)

    def _remember(self, frame: Frame, changed: NDArray[np.int32]) -> None:
        here = Place(frame.epoch, frame.seq)
        follows = self._last is not None and here == Place(self._last.epoch, self._last.seq + 1)
        whole = frame.key or (follows and self.place is not None)
        self._last, self.place = here, here if whole else None
        self.revision += 1
        self.at_us = frame.at_us
        self._recent.append(_Moment(self.revision, self.place, changed))


def _grown(array: NDArray[Item], size: int, filler: float) -> NDArray[Item]:
    """The array, made `size` long if it is shorter."""
    if size <= len(array):
        return array
    grown = np.full(size, filler, array.dtype)
    grown[: len(array)] = array
    return grown


def _differ(after: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where two columns differ, an unknown being equal to an unknown."""
    differs: NDArray[np.bool_] = (after != before) & ~(np.isnan(after) & np.isnan(before))
    return differs


def _checked(frame: Frame) -> tuple[NDArray[np.int32], NDArray[np.uint8], Positions]:
    try:
        device_no, state = frame.arrays()
        positions = frame.positions()
    except ValueError as error:
        raise BadFrame(f"arrays of a live frame of {frame.kind} are cut: {error}") from error
    lengths = {len(device_no), len(state), *(len(axis) for axis in positions or ())}
    if len(lengths) > 1:
        raise BadFrame(f"arrays of a live frame of {frame.kind} have different lengths: {sorted(lengths)}")
    if device_no.min(initial=0) < 0 or device_no.max(initial=0) > MAX_DEVICE_NO:
        raise BadFrame(f"a live frame of {frame.kind} names impossible device numbers")
    return device_no, state, positions
