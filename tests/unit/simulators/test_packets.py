"""Packets of MQTT 5, held against paho's own reading of them where it has one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from simulators import packets
from simulators.packets import Packet, Publish


def test_a_publish_is_what_the_standard_shows() -> None:
    assert packets.publish(Publish("a/b", b"xyz"), 10) == b"\x32\x0b\x00\x03a/b\x00\x0a\x00xyz"
    assert packets.publish(Publish("a/b", b"xyz", qos=0, retain=True), 10) == b"\x31\x09\x00\x03a/b\x00xyz"
    assert packets.publish(Publish("a", b"", qos=2), 65_535)[:1] == b"\x34"


def test_the_mark_of_a_replay_is_a_property_that_paho_reads() -> None:
    packet = packets.publish(Publish("t", b"payload", is_replayed=True), 1)
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    _, length = properties.unpack(packet[7:])  # type: ignore[no-untyped-call]
    assert properties.UserProperty == [packets.REPLAY_MARK]
    assert packet[7 + length :] == b"payload"


@given(st.lists(st.tuples(st.sampled_from([0x20, 0x40, 0x50, 0x90]), st.binary(max_size=300)), max_size=6), st.data())
def test_packets_are_found_however_the_network_cuts_them(wanted: list[tuple[int, bytes]], data: st.DataObject) -> None:
    stream = b"".join(packets._framed(kind, body) for kind, body in wanted)
    cut = data.draw(st.integers(0, len(stream)))
    first, rest = packets.split(stream[:cut])
    second, left = packets.split(rest + stream[cut:])
    assert [*first, *second] == [Packet(kind, body) for kind, body in wanted]
    assert left == b""


def test_what_is_no_mqtt_is_noticed() -> None:
    with pytest.raises(ValueError, match="length"):
        packets.split(b"\x20\xff\xff\xff\xff\xff")


def test_a_welcome_tells_how_much_may_be_under_way() -> None:
    properties = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum, properties.AssignedClientIdentifier = 17, "auto-1"
    properties.UserProperty = [("a", "b")]
    properties.MaximumPacketSize = 4_194_304
    assert packets.welcome(b"\x00\x00" + properties.pack()).most_under_way == 17  # type: ignore[no-untyped-call]
    assert packets.welcome(b"\x00\x00\x00").most_under_way == packets.MOST_UNDER_WAY
    assert packets.welcome(b"\x00\x87\x00").refusal == "Not authorized"


def test_a_refused_message_says_why() -> None:
    assert packets.acknowledged(Packet(packets.PUBACK, b"\x00\x07")) == (7, None)
    assert packets.acknowledged(Packet(packets.PUBACK, b"\x00\x07\x10\x00")) == (7, None), "nobody listens: no failure"
    assert packets.acknowledged(Packet(packets.PUBACK, b"\x00\x07\x87")) == (7, "Not authorized")
