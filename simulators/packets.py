"""The few MQTT 5 packets that a publisher needs, as bytes. Pure.

A client library spends 30 to 70 µs on a publish, mostly on waiting for it; whole cities at a thousand times their
speed have 2 µs. Section numbers are those of MQTT 5.0 (OASIS).
"""

from collections.abc import Iterator
from typing import NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

REPLAY_MARK = ("beffroi-replay", "1")
"""MQTT 5 user property: this updates history and state, and pages nobody."""
PING, DISCONNECT = b"\xc0\x00", b"\xe0\x00"
CONNACK, PUBACK, PUBREC, PUBCOMP, FAREWELL = 0x20, 0x40, 0x50, 0x70, 0xE0
FAILURE = 0x80
"""Reason codes from here on are refusals (2.4)."""
MOST_UNDER_WAY = 65_535
LONGEST_TEXT = 65_535
_CLEAN, _PASSWORD, _USER = 0x02, 0x40, 0x80
_FIXED_WIDTH = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
"""Properties (2.2.2.2) by their identifier: how many bytes. The others begin with their length, a pair has two."""
_PAIR, _RECEIVE_MAXIMUM = 0x26, 0x21


class Publish(NamedTuple):
    """A message on its way to the broker."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    is_replayed: bool = False


class Packet(NamedTuple):
    """What a broker says: the packet's type, and what follows its length."""

    kind: int
    body: bytes


def connect(username: str | None, password: str | None, *, keepalive_s: int) -> bytes:
    """The first packet: a session that ends with the connection, under a name that the broker chooses (3.1)."""
    flags = _CLEAN | (_USER if username else 0) | (_PASSWORD if password else 0)
    body = _text("MQTT") + bytes((5, flags)) + keepalive_s.to_bytes(2) + b"\x00" + _text("")
    return _framed(0x10, body + b"".join(_text(word) for word in (username, password) if word))


def publish(message: Publish, packet_id: int) -> bytes:
    """A message; the packet id counts only with QoS 1 and 2 (3.3)."""
    body = [_text(message.topic)]
    if message.qos:
        body.append(packet_id.to_bytes(2))
    body += (_MARKED if message.is_replayed else b"\x00", message.payload)
    return _framed(0x30 | message.qos << 1 | message.retain, b"".join(body))


def release(packet_id: int) -> bytes:
    """The third step of QoS 2 (3.6)."""
    return b"\x62\x02" + packet_id.to_bytes(2)


def split(data: bytes) -> tuple[list[Packet], bytes]:
    """The whole packets at the beginning of what was received, and what is left; ValueError when it is no MQTT."""
    packets, place = [], 0
    while (found := _length(data, place + 1)) is not None and found[1] + found[0] <= len(data):
        length, begin = found
        packets.append(Packet(data[place] & 0xF0, data[begin : begin + length]))
        place = begin + length
    return packets, data[place:]


class Acknowledged(NamedTuple):
    """What a broker says of one publish."""

    packet_id: int
    refusal: str | None


def acknowledged(packet: Packet) -> Acknowledged:
    """Of a PUBACK, PUBREC or PUBCOMP (3.4 to 3.7)."""
    reason = packet.body[2] if len(packet.body) > 2 else 0
    refusal = ReasonCode(PacketTypes.PUBACK, identifier=reason).getName() if reason >= FAILURE else None
    return Acknowledged(int.from_bytes(packet.body[:2]), refusal)


class Welcome(NamedTuple):
    """How a broker answers to CONNECT (3.2)."""

    refusal: str | None
    most_under_way: int
    """Publishes of QoS 1 and 2 that may wait for their acknowledgement."""


def welcome(body: bytes) -> Welcome:
    """Read a CONNACK's body."""
    reason = body[1]
    if reason >= FAILURE:
        return Welcome(ReasonCode(PacketTypes.CONNACK, identifier=reason).getName(), 0)
    length, begin = _length(body, 2) or (0, len(body))
    properties = dict(_properties(body[begin : begin + length]))
    most = properties.get(_RECEIVE_MAXIMUM)
    return Welcome(None, int.from_bytes(most) if most else MOST_UNDER_WAY)


def farewell(body: bytes) -> str:
    """Why a broker ends the connection (3.14)."""
    return ReasonCode(PacketTypes.DISCONNECT, identifier=body[0] if body else 0).getName()


def _properties(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(data):
        name, place = data[place], place + 1
        if (width := _FIXED_WIDTH.get(name)) is None:
            for _ in range(2 if name == _PAIR else 1):
                width = int.from_bytes(data[place : place + 2])
                place += 2
                yield name, data[place : place + width]
                place += width
        else:
            yield name, data[place : place + width]
            place += width


def _text(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > LONGEST_TEXT:
        raise ValueError(f"{text[:60]!r}... has more than {LONGEST_TEXT} bytes")
    return len(encoded).to_bytes(2) + encoded


def _framed(first: int, body: bytes) -> bytes:
    return bytes((first, *_varint(len(body)))) + body


def _varint(number: int) -> Iterator[int]:
    """Seven bits a byte, the lowest first (1.5.5)."""
    while number >= 0x80:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number


def _length(data: bytes, place: int) -> tuple[int, int] | None:
    """A number of seven bits a byte and where it ends; None when not all of it is there."""
    number = 0
    for count, byte in enumerate(data[place : place + 4]):
        number |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return number, place + count + 1
    if len(data) >= place + 4:
        raise ValueError("a length of more than four bytes")
    return None


_MARK = b"\x26" + b"".join(map(_text, REPLAY_MARK))
_MARKED = bytes((len(_MARK),)) + _MARK
