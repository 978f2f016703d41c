"""What the worker shows live: frames of states, on `beffroi/live/{kind}`. Pure."""

from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray


class Frame(msgspec.Struct, frozen=True, gc=False):
    """States of some devices (or all, in a key frame) at a moment; arrays are little-endian bytes.

    `epoch` changes when the worker restarts; `seq` rises by one per frame of the kind.
    """

    kind: str
    epoch: int
    seq: int
    key: bool
    at_us: int
    device_no: bytes
    """int32"""
    state: bytes
    """uint8, see devices.kind.State"""
    lat: bytes | None = None
    """float32, degrees, NaN when unknown; only for kinds that move"""
    lon: bytes | None = None

    @classmethod
    def of(
        cls,
        kind: str,
        *,
        epoch: int,
        seq: int,
        key: bool,
        at_us: int,
        device_no: NDArray[np.integer],
        state: NDArray[np.integer],
        position: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> Self:
        """A frame of arrays of equal length, shape (n,)."""
        lat, lon = (axis.astype("<f4").tobytes() for axis in position) if position else (None, None)
        return cls(
            kind,
            epoch,
            seq,
            key,
            at_us,
            device_no.astype("<i4").tobytes(),
            state.astype("u1").tobytes(),
            lat,
            lon,
        )

    @property
    def topic(self) -> str:
        return f"beffroi/live/{self.kind}"

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @staticmethod
    def decode(payload: bytes) -> "Frame":
        """Read a frame; msgspec.MsgspecError when the payload is none."""
        try:
            return msgspec.msgpack.decode(payload, type=Frame)
        except (UnicodeDecodeError, RecursionError) as error:
            raise msgspec.DecodeError(str(error)) from error

    def arrays(self) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Device numbers and states, shape (n,) each."""
        return np.frombuffer(self.device_no, "<i4"), np.frombuffer(self.state, "u1")

    def positions(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Latitudes and longitudes, shape (n,) each, for kinds that move."""
        if self.lat is None or self.lon is None:
            return None
        return np.frombuffer(self.lat, "<f4"), np.frombuffer(self.lon, "<f4")
