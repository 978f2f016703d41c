"""Intake: receives every publish on a persistent session and acknowledges it once it is durable in the log.

A thread per source does three things in turn: read what its socket holds, write it to the log (one fsync), acknowledge
it. While one does its fsync the next messages gather in the socket, so batches grow with the load, and a log that
cannot be written stops the reading: the broker then queues. It does not look inside a payload.
"""

import select
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from msgspec.structs import replace
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hub.clock import Clock, pauses
from hub.errors import BadSetting, LogError
from hub.settings import BrokerAddress, Source
from ingest.heard import HeardFile
from ingest.log import Flag, LogReader, LogWriter, Message
from ingest.quota import SAMPLE_BYTES, Quota
from ingest.redelivery import RECENT, REWIND_US, Received
from ingest.refusal import Refusal
from store.room import disk_of, keep_reserve

logger = structlog.get_logger("intake")

RECEIVE_MAXIMUM = 2000
"""Messages that a broker may have under way to us; the bound of what intake holds in memory, per source."""
BATCH_BYTES = 4 << 20
SESSION_EXPIRY_S = 35 * 86_400
KEEPALIVE_S = 15
"""A broker that is gone without a word is noticed within twice as long; it notices us within one and a half."""
WAIT_S = 0.25
NAP_S = 0.002
"""Between batches while messages come: each then holds more of them, for one fsync."""
ROLL_S = 600
"""A segment is closed after ten minutes of real time, so that it can be trimmed: the raw log holds positions."""
LONGEST_TOPIC = 65_535
REPLAY_PROPERTY = ("beffroi-replay", "1")


def flags_of(message: mqtt.MQTTMessage) -> int:
    """The log's flags of a message as MQTT delivered it."""
    flags = (Flag.DUP if message.dup else 0) | (Flag.RETAINED if message.retain else 0)
    properties = getattr(message.properties, "UserProperty", None) or ()
    return flags | (Flag.REPLAY if REPLAY_PROPERTY in properties else 0)


def topic_of(message: mqtt.MQTTMessage) -> str:
    """A message's topic. A broker must refuse one that is not UTF-8; of one that does not, it is made readable here."""
    try:
        return message.topic
    except UnicodeDecodeError as error:
        readable = error.object.decode("utf-8", "backslashreplace").encode()[:LONGEST_TOPIC]
        return readable.decode("utf-8", "ignore")


class Journal:
    """The log as the sources' threads write it: one batch at a time, and nothing lost when the disk refuses."""

    def __init__(self, log: LogWriter, stopping: threading.Event) -> None:
        self._log = log
        self._stopping = stopping
        self._lock = threading.Lock()
        self._rolled_s = time.monotonic()
        self._refusal = Refusal("the log cannot be written; nothing is acknowledged", "the log is written again")
        self.failure: LogError | None = None
        """Why the process must end: nothing more can be kept in this log."""

    def append(self, messages: Sequence[Message]) -> bool:
        """Make messages durable, however long it takes; False when told to stop before they were."""
        waits = pauses()
        try:
            while (why := self._refused(messages)) is not None:
                self._refusal.began(why)
                if self._stopping.wait(next(waits)):
                    return False
        except LogError as error:
            self._fail(error)
            return False
        self._refusal.ended()
        return True

    def _refused(self, messages: Sequence[Message]) -> str | None:
        """Append, or why not."""
        disk = disk_of(self._log.folder.parent, self._log.folder.name)
        if disk is not None and not disk.takes_messages:
            return f"the disk of {self._log.folder} is full, {disk.free_bytes >> 20} MiB are left to the others"
        try:
            with self._lock:
                self._log.append(messages)
        except OSError as error:
            return f"{error.strerror} ({self._log.folder})"
        return None

    def keep_house(self) -> None:
        """Every second, also when nothing comes: the log must be there, and a segment lasts ten minutes at most.

        Keeps the disks' reserves too. Waits while a thread holds the log.
        """
        keep_reserve(self._log.folder.parent)
        if self._refusal.is_on:
            return
        try:
            with self._lock, suppress(OSError):  # the next append says it
                self._log.check()
                self._log.touch()
                if time.monotonic() - self._rolled_s > ROLL_S:
                    self._log.roll()
                    self._rolled_s = time.monotonic()
        except LogError as error:
            self._fail(error)

    def _fail(self, error: LogError) -> None:
        self.failure = error
        self._stopping.set()

    def received_lately(self) -> dict[str, Received]:
        """By source, what the log's end holds: what is delivered again after a crash is known by it."""
        reader = LogReader(self._log.folder)
        offset = max(reader.first_offset, reader.next_offset - RECENT)
        received: dict[str, Received] = {}
        while messages := reader.read(offset, 10_000):
            for message in messages:
                if message.source not in received:
                    received[message.source] = Received()
                received[message.source].remember(message)
            offset = messages[-1].offset + 1
        reader.close()
        return received


class Subscription(threading.Thread):
    """One source: its connection, from the first attempt to the end."""

    def __init__(
        self,
        source: Source,
        url: str,
        journal: Journal,
        clock: Clock,
        stopping: threading.Event,
        *,
        received: Received,
        quota: Quota,
        client_id: str,
        keepalive_s: int = KEEPALIVE_S,
    ) -> None:
        super().__init__(name=f"intake {source.name}")
        self._source = source
        self._journal = journal
        self._clock = clock
        self._stopping = stopping
        self._received = received
        self._quota = quota
        self._read_s = 0.0
        """When the socket last had something, on the monotonic clock."""
        self._pauses = pauses()
        self._session_kept = False
        self._wrong: str | None = None
        """Why there is no connection, as it was told last."""
        self._broker = BrokerAddress.parse(url)
        self._keepalive_s = keepalive_s
        self._batch: list[Message] = []
        self._batch_bytes = 0
        self._to_acknowledge: list[tuple[int, int]] = []
        self._client = self._make_client(client_id)

    def _make_client(self, client_id: str) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, manual_ack=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = lambda _client, _data, _flags, reason, _properties: self._on_disconnect(reason)
        client.on_message = self._on_message
        # With somebody to tell, paho queues packets and leaves it to us when they are written: all at once.
        client.on_socket_register_write = lambda *_: None
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.is_tls:
            client.tls_set_context(_tls(self._source))
        return client

    def run(self) -> None:
        """Receive until told to stop, connecting again and again."""
        while not self._stopping.is_set():
            try:
                self._connect()
                self._receive()
            except OSError as error:
                self._lost(_failure(error))
            self._batch, self._batch_bytes, self._to_acknowledge = [], 0, []
            self._stopping.wait(next(self._pauses))

    def _connect(self) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        if self._source.keep_session:
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
        self._client.connect(
            self._broker.host,
            self._broker.port,
            keepalive=self._keepalive_s,
            clean_start=not self._source.keep_session,
            properties=properties,
        )

    def _receive(self) -> None:
        """Read, write, acknowledge, until the connection is lost."""
        client = self._client
        while (socket := client.socket()) is not None and not self._stopping.is_set():
            writable = [socket] if client.want_write() else []
            readable, _, _ = select.select([socket], writable, [], WAIT_S)
            if readable:
                self._read_s = time.monotonic()
                self._quota.heard(self._read_s)
                self._drain()
            if self._batch and not self._hand_over():
                return
            if client.want_write() and client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
            if client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
        if self._stopping.is_set():
            client.on_disconnect = None
            client.disconnect()
            client.loop_write()

    def _drain(self) -> None:
        """Read packets while the socket has some and the batch has room."""
        while self._batch_bytes < BATCH_BYTES and len(self._batch) < RECEIVE_MAXIMUM:
            before = len(self._batch)
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS or len(self._batch) == before:
                return

    def _hand_over(self) -> bool:
        """Make the batch durable, then acknowledge it; False when told to stop meanwhile."""
        if not self._journal.append(self._batch):
            return False
        for message in self._batch:
            self._received.remember(message)
        busy = len(self._batch) > 1
        for mid, qos in self._to_acknowledge:
            self._client.ack(mid, qos)
        self._batch, self._batch_bytes, self._to_acknowledge = [], 0, []
        self._client.loop_write()
        if busy:
            self._stopping.wait(NAP_S)
        return True

    def _on_connect(self, client: mqtt.Client, _data: Any, flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._lost(f"the broker refuses us: {reason}")
            return
        # Retained messages come with the first subscription only, not at each reconnection.
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe([(topic, options) for topic in self._source.topics])
        if flags.session_present:
            self._received.resume(rewind_us=int(REWIND_US * self._clock.speed))
        else:
            self._received.start()
        self._session_kept = bool(flags.session_present)

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        """Only now does the broker queue for us, on a session that is new."""
        refused = [topic for topic, reason in zip(self._source.topics, reasons, strict=True) if reason.is_failure]
        if refused:
            self._lost(f"the broker refuses the subscription to {', '.join(refused)}")
            return
        self._pauses, self._wrong = pauses(), None
        logger.info("connected", source=self._source.name, session_kept=self._session_kept)

    def _on_disconnect(self, reason: ReasonCode) -> None:
        if self._wrong is None:
            self._lost(f"the connection was lost: {reason}")

    def _lost(self, why: str) -> None:
        """Say why there is no connection, once for each reason however often it is tried."""
        if why != self._wrong:
            logger.warning("not connected, trying again", source=self._source.name, why=why)
        self._wrong = why

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        now_us, flags = self._clock.now_us(), flags_of(message)
        received = Message(0, now_us, self._source.name, topic_of(message), bytes(message.payload), flags)
        is_marked = bool(flags & Flag.DUP)
        if message.qos and self._received.came_before(received.topic, received.payload, is_marked=is_marked):
            received = replace(received, flags=flags | Flag.DUPLICATE)
        else:
            received = self._within_quota(received)
        self._batch.append(received)
        self._batch_bytes += len(received.payload)
        if message.qos:
            self._to_acknowledge.append((message.mid, message.qos))

    def _within_quota(self, received: Message) -> Message:
        """The message as it came, or without its payload when its topic has used up its quota."""
        over = self._quota.judge(received.topic, len(received.payload), self._read_s)
        if not over:
            return received
        kept = received.payload[:SAMPLE_BYTES] if over & Flag.SAMPLE else b""
        return replace(received, payload=kept, flags=received.flags | over)


def _failure(error: OSError) -> str:
    """Why no connection came about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not trusted: {error.verify_message}"
    return f"the broker does not answer: {error}"


def _tls(source: Source) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(source.ca_file) if source.ca_file else None)
    except OSError as error:
        raise BadSetting(f"source {source.name}: ca_file {source.ca_file} cannot be read: {error}") from error


def silences(quotas: Mapping[str, Quota]) -> dict[str, float]:
    """For how long each source has not been heard, by name; of those that ever were."""
    now_s = time.monotonic()
    return {name: now_s - quota.heard_s for name, quota in quotas.items() if quota.heard_s is not None}


def open_log(folder: Path, stopping: threading.Event) -> LogWriter | None:
    """The log, to write; waits while its disk refuses. None when told to stop meanwhile."""
    refusal, waits = Refusal("the log cannot be opened; nothing is received", "the log is open"), pauses()
    while True:
        keep_reserve(folder.parent)
        try:
            log = LogWriter(folder)
        except OSError as error:
            refusal.began(f"{error.strerror} ({folder})")
            if stopping.wait(next(waits)):
                return None
        else:
            refusal.ended()
            if log.surprise:
                logger.error(log.surprise)
            return log


def run(
    log: LogWriter,
    sources: Sequence[tuple[Source, str]],
    clock: Clock,
    stopping: threading.Event,
    quotas: Mapping[str, Quota],
    *,
    keepalive_s: int = KEEPALIVE_S,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Receive from sources, each with its broker's URL and its quota, until `stopping` is set.

    The process's straight line. `beat` is called every second while the log can be written or says why not.
    """
    journal = Journal(log, stopping)
    received = journal.received_lately()
    heard = HeardFile(log.folder.parent / "heard.json")
    for name, silent_s in heard.silent_s().items():
        if name in quotas:
            quotas[name].heard(time.monotonic() - silent_s)
    identity = str(log.first_id)[:8]  # the same for another log: the broker's session holds what is unacknowledged
    subscriptions = [
        Subscription(
            source,
            url,
            journal,
            clock,
            stopping,
            received=received.get(source.name, Received()),
            quota=quotas[source.name],
            client_id=f"beffroi-{source.name}-{identity}",
            keepalive_s=keepalive_s,
        )
        for source, url in sources
    ]
    for subscription in subscriptions:
        subscription.start()
    while not stopping.wait(1.0):
        journal.keep_house()  # one that never lets the log go is not taken for alive
        beat()
        if heard.is_due:
            heard.save(silences(quotas))
        if not all(subscription.is_alive() for subscription in subscriptions):
            stopping.set()  # a thread died of what it did not expect: the process starts anew
            raise SystemExit(1)
    for subscription in subscriptions:
        subscription.join()
    heard.save(silences(quotas))
    if journal.failure is not None:
        raise journal.failure
