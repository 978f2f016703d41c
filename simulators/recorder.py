"""`beffroi record FILE`: writes what passes on a broker. A message is acknowledged once it is on the disk."""

import gzip
import os
import select
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hub.clock import SECOND_US, Clock
from hub.errors import BadFile, BadSetting, BrokerUnavailable
from hub.settings import BrokerAddress
from simulators import record
from simulators.packets import REPLAY_MARK

RECEIVE_MAXIMUM = 20_000
"""Messages that may wait for the disk; the broker queues the others."""
SESSION_KEPT_S = 600
"""So long the broker keeps what it could not deliver while the connection is lost."""
KEEPALIVE_S = 30
WAIT_S = 0.1
SYNC_EVERY_S = 0.25
BATCH_MESSAGES = 5_000
RETRY_S = 1.0
LAST_WORDS_S = 10.0
"""How long the end waits for what the broker still has for us."""
COMPRESSION = 6


@dataclass(slots=True)
class Tally:
    """How a record is going."""

    messages: int = 0
    size_bytes: int = 0
    gaps: int = 0
    away: str | None = None
    """Why there is no connection, while there is none."""


class RecordFile:
    """The file of a record; compressed when its name ends with .gz."""

    def __init__(self, path: Path, *, force: bool) -> None:
        self._path = path
        try:
            self._raw: BinaryIO = path.open("wb" if force else "xb")
        except FileExistsError as error:
            raise BadFile(f"{path} is there already; take another name, or --force to replace it") from error
        except OSError as error:
            raise BadFile(f"{path} cannot be written: {error.strerror}") from error
        self._file: IO[bytes] = self._raw
        if path.suffix == ".gz":
            packed = gzip.GzipFile(fileobj=self._raw, mode="wb", compresslevel=COMPRESSION, filename="")
            self._file = cast(IO[bytes], packed)

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines and return once they are on the disk."""
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
            self._raw.flush()
            os.fsync(self._raw.fileno())
        except OSError as error:
            raise BadFile(f"{self._path} cannot be written: {error.strerror}") from error

    @property
    def size_bytes(self) -> int:
        return self._raw.tell()

    def close(self) -> None:
        self._file.close()
        self._raw.close()


class Recorder:
    """One record, from the first connection to the last line; one thread does it all in turn."""

    def __init__(
        self,
        mqtt_url: str,
        topics: Sequence[str],
        clock: Clock,
        stop: threading.Event,
        *,
        show: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        self.tally = Tally()
        self._broker = BrokerAddress.parse(mqtt_url)
        self._topics, self._clock, self._stop, self._show = list(topics), clock, stop, show
        self._lines: list[bytes] = []
        self._unacknowledged: list[tuple[int, int]] = []
        self._synced_s = 0.0
        self._lately: deque[int] = deque(maxlen=RECEIVE_MAXIMUM)
        """Of what the last connection brought: it may come again, when our acknowledgement was lost."""
        self._brought: frozenset[int] = frozenset()
        self._refusal: str | None = None
        self._is_subscribed = self._is_over = self._session_kept = False
        self._lost_us: int | None = None
        self._client = self._make_client()

    def run(self, file: Path, *, force: bool = False) -> Tally:
        """Record until `stop` is set. BadSetting, BadFile, or BrokerUnavailable before the first message."""
        if file.exists() and not force:
            raise BadFile(f"{file} is there already; take another name, or --force to replace it")
        self._first_connection()
        self._file = RecordFile(file, force=force)
        try:
            self._file.write([record.first_line(self._clock.now_us(), self._topics, self._clock.speed)])
            while not self._stop.is_set():
                self._receive()
                if not self._stop.is_set():
                    self._connect_again()
            self._end()
            self._file.write([record.last_line(self._clock.now_us(), self.tally.messages)])
            self.tally.size_bytes = self._file.size_bytes
        finally:
            self._file.close()
        return self.tally

    # Connection

    def _make_client(self) -> mqtt.Client:
        name = f"beffroi-record-{os.getpid()}-{time.time_ns():x}"
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5, manual_ack=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_message = self._on_message
        # With somebody to tell, paho queues packets and leaves it to us when they are written: all at once.
        client.on_socket_register_write = lambda *_: None
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.is_tls:
            client.tls_set_context(ssl.create_default_context())
        return client

    def _connect(self) -> None:
        """OSError when it fails; returns once subscribed."""
        self._is_subscribed = False
        self._client.connect(
            self._broker.host,
            self._broker.port,
            keepalive=KEEPALIVE_S,
            clean_start=False,
            properties=_properties(
                PacketTypes.CONNECT, ReceiveMaximum=RECEIVE_MAXIMUM, SessionExpiryInterval=SESSION_KEPT_S
            ),
        )
        deadline_s = time.monotonic() + KEEPALIVE_S
        while not self._is_subscribed:
            if self._refusal:
                raise OSError(self._refusal)
            if not self._turn() or time.monotonic() > deadline_s:
                raise OSError("it closed the connection" if time.monotonic() <= deadline_s else "no answer in time")

    def _first_connection(self) -> None:
        try:
            self._connect()
        except OSError as error:
            raise BrokerUnavailable(f"the broker at {self._broker} does not answer or refuses: {error}") from error

    def _connect_again(self) -> None:
        """Try until it succeeds or `stop` is set; what the broker kept for us comes after."""
        self._lost_us = self._lost_us or self._clock.now_us()
        while not self._stop.is_set():
            self._brought, self._unacknowledged, self._refusal = frozenset(self._lately), [], None
            try:
                self._connect()
            except OSError as error:
                self.tally.away = str(error)
                self._show(self.tally)
                self._stop.wait(RETRY_S)
                continue
            self._gap()
            return

    def _gap(self) -> None:
        assert self._lost_us is not None
        now_us = self._clock.now_us()
        missing = "messages of QoS 0 are missing" if self._session_kept else "messages are missing"
        why = f"the broker was away; {missing}"
        # Before what came with the new connection, which is in the lines already.
        self._lines.insert(0, record.gap_line(now_us, round((now_us - self._lost_us) / SECOND_US, 3), why))
        self.tally.gaps += 1
        self.tally.away, self._lost_us = None, None

    def _on_connect(self, client: mqtt.Client, _data: Any, flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = str(reason)
            return
        self._session_kept = bool(flags.session_present)
        options = SubscribeOptions(
            qos=2, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        )
        client.subscribe([(topic, options) for topic in self._topics])

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any) -> None:
        refused = [topic for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure]
        if refused:
            self._refusal = f"no subscription to {', '.join(refused)}: {reasons[0]}"
        self._is_subscribed = not refused

    def _on_unsubscribe(self, *_: Any) -> None:
        self._is_over = True

    # Messages

    def _receive(self) -> None:
        """Read, write, acknowledge, until the connection is lost or `stop` is set."""
        while not self._stop.is_set() and self._turn():
            self._write_when_due()
        self._write()

    def _turn(self) -> bool:
        """Wait a little for the broker and hear what it says; False when the connection is lost."""
        client, fine = self._client, MQTTErrorCode.MQTT_ERR_SUCCESS
        socket = client.socket()
        if socket is None:
            return False
        readable, _, _ = select.select([socket], [socket] if client.want_write() else [], [], WAIT_S)
        if readable:
            before = -1
            while before < len(self._lines) < BATCH_MESSAGES:
                before = len(self._lines)
                if client.loop_read() != fine:
                    return False
        if client.want_write() and client.loop_write() != fine:
            return False
        return client.loop_misc() == fine

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.qos:
            self._unacknowledged.append((message.mid, message.qos))
        topic, payload = message.topic, bytes(message.payload)
        digest = hash((topic, payload))
        if message.dup and digest in self._brought:
            return
        self._lately.append(digest)
        marks = getattr(message.properties, "UserProperty", None) or ()
        told = record.Recorded(
            self._clock.now_us(), topic, payload, message.qos, bool(message.retain), REPLAY_MARK in marks
        )
        self._lines.append(record.message_line(told))
        self.tally.messages += 1

    def _write_when_due(self) -> None:
        if len(self._lines) >= BATCH_MESSAGES or time.monotonic() - self._synced_s >= SYNC_EVERY_S:
            self._write()

    def _write(self) -> None:
        """To the disk, then acknowledge."""
        if self._lines:
            self._file.write(self._lines)
        if self._client.is_connected():
            for mid, qos in self._unacknowledged:
                self._client.ack(mid, qos)
        self._lines, self._unacknowledged = [], []
        self._synced_s = time.monotonic()
        self.tally.size_bytes = self._file.size_bytes
        self._show(self.tally)

    def _end(self) -> None:
        """Take what the broker still has for us, then end the session there.

        A message of QoS 2 is handed over in two round trips: after two that bring nothing, nothing is under way.
        """
        deadline_s = time.monotonic() + LAST_WORDS_S
        empty = 0
        while empty < 2 and self._client.is_connected():
            before = self.tally.messages
            if not self._round_trip(deadline_s):
                break
            empty = empty + 1 if self.tally.messages == before else 0
        self._write()
        self._client.disconnect(properties=_properties(PacketTypes.DISCONNECT, SessionExpiryInterval=0))
        self._client.loop_write()

    def _round_trip(self, deadline_s: float) -> bool:
        """Ask the broker for no more, and hear what it says until it has answered; False when it does not."""
        self._is_over = False
        self._client.unsubscribe(self._topics)
        while not self._is_over:
            if time.monotonic() > deadline_s or not self._turn():
                return False
            self._write()
        return True


def check_filters(topics: Sequence[str]) -> None:
    """BadSetting when one cannot be subscribed to."""
    for topic in topics:
        levels = topic.split("/")
        wrong = not topic or "#" in "".join(levels[:-1]) or any(len(x) > 1 and ("#" in x or "+" in x) for x in levels)
        if wrong:
            raise BadSetting(f"--topic {topic!r} is no topic filter; one is city/+/water_meter/# (# only at the end)")


def _properties(packet: int, **values: int) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho has no types there
    for name, value in values.items():
        setattr(properties, name, value)
    return properties
