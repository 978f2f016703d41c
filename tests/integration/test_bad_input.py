"""Bad input through the real broker and the real processes: the bad part waits in the quarantine, the rest goes on."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import pytest

from hub.runtime.servers import Embedded
from ingest.log import LogReader
from tests.database import accounts_balance, everything_is_read, fetch
from tests.processes import Processes, Publisher, eventually

KINDS = "city/dijon/{kind}/{name}/{suffix}"
HFP = "/hfp/v2/journey/ongoing/vp/bus/0012/{name}/1010/2/Kamppi/10:20/1040/4/60;24"
MEGABYTE = 1 << 20
NO_TIME = {"time_flagged": True}


@dataclass(frozen=True)
class Case:
    """A payload, the readings that must come of it, and what must be said of the rest."""

    name: str
    payload: bytes | str
    kept: list[Mapping[str, object]] = field(default_factory=list)
    """Columns of the device's rows, in the order of their time."""
    bad: list[tuple[int, str, str]] = field(default_factory=list)
    """Part (-1 is the whole message), reason, and words of the sentence."""
    topic: str = ""
    kind: str = "water_meter"
    suffix: str = "telemetry"

    @property
    def where(self) -> str:
        topic = self.topic or KINDS
        return topic.format(kind=self.kind, name=self.name, suffix=self.suffix)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def array(*parts: object) -> str:
    return json.dumps(list(parts))


NO_JSON = [(-1, "invalid_json", "not JSON")]
TOO_DEEP = [(-1, "too_large", "nested")]
ONE = [{"total_m3": 1.0}]
UNTIMED = [{"total_m3": 1.0, "time_flagged": True}]
DIGITS = "1" + "0" * 400

CASES = (
    # Not JSON
    Case("words", "hello", bad=NO_JSON),
    Case("half", '{"total_m3": 1', bad=NO_JSON),
    Case("two", '{"total_m3": 1}{"total_m3": 2}', bad=NO_JSON),
    Case("latin1", '{"label": "é"}'.encode("latin-1"), bad=NO_JSON),
    Case("bytes", bytes(range(256)), bad=NO_JSON),
    Case("nan", '{"total_m3": NaN}', bad=NO_JSON),
    Case("infinity", '{"total_m3": -Infinity}', bad=NO_JSON),
    Case("past-the-largest", '{"total_m3": 1e999}', bad=[(-1, "invalid_json", "out of range")]),
    Case("half-a-character", '{"total_m3": 1, "label": "\\ud800"}', bad=NO_JSON),
    Case("garbage-of-a-megabyte", bytes(n % 251 for n in range(256)) * 4096, bad=NO_JSON),
    Case("nothing-at-all", b""),  # a retained message that is cleared
    # JSON of the wrong shape
    Case("number", "42", bad=[(-1, "wrong_type", "object")]),
    Case("null", "null", bad=[(-1, "wrong_type", "object")]),
    Case("list-of-numbers", "[1, 2]", bad=[(0, "wrong_type", "object"), (1, "wrong_type", "object")]),
    Case("text", '{"total_m3": "12.5"}', bad=[(-1, "wrong_type", "total_m3: expected a number")]),
    Case("list", '{"total_m3": [1]}', bad=[(-1, "wrong_type", "total_m3: expected a number")]),
    Case("flag", '{"leak": "yes"}', bad=[(-1, "wrong_type", "leak: expected true or false")]),
    Case("flag-of-400-digits", f'{{"leak": {DIGITS}}}', bad=[(-1, "wrong_type", "leak: expected true or false")]),
    Case("400-digits", f'{{"total_m3": {DIGITS}}}', bad=[(-1, "wrong_type", "total_m3: number out of range")]),
    Case("5000-digits", f'{{"total_m3": 1{"0" * 5000}}}', bad=NO_JSON),
    Case("event-of-number", '{"event": 7}', bad=[(-1, "wrong_type", "event: expected a text")]),
    # Nesting
    Case("list-in-list", nested(30), bad=[(0, "wrong_type", "object")]),
    Case("deep-list", nested(900), bad=[(0, "too_large", "nested")]),
    Case("deeper-list", nested(100_000), bad=NO_JSON),
    Case("deep-beside", f'{{"total_m3": 1, "x": {nested(900)}}}', bad=TOO_DEEP),
    Case("deep-object", '{"a": ' * 900 + "1" + "}" * 900, bad=TOO_DEEP),
    Case("deep-announcement", f'{{"x": {nested(900)}}}', bad=TOO_DEEP, suffix="config"),
    Case("not-so-deep", f'{{"total_m3": 1, "x": {nested(60)}}}', kept=ONE),
    # Values that cannot be
    Case("backwards", '{"total_m3": -1}', bad=[(0, "out_of_range", "total_m3 is -1, outside 0 to 1e+09 m³")]),
    Case("two-is-no-flag", '{"leak": 2}', bad=[(0, "out_of_range", "leak is 2, outside 0 to 1")]),
    Case("bad-beside-large", '{"total_m3": -1, "x": 1e300}', bad=[(0, "out_of_range", "total_m3")]),
    Case("unknown-event", '{"event": "exploded"}', bad=[(-1, "unknown_event", "'exploded'")]),
    Case("event-with-nul", '{"event": "a\\u0000"}', bad=[(-1, "unknown_event", "not an event")]),
    # Beyond what is declared: kept
    Case("own-columns", '{"device_no": 1, "received_at": 2, "rest": {"ts": 3}, "total_m3": 1}', kept=ONE),
    Case("nul", '{"total_m3": 1, "la\\u0000bel": "a\\u0000b"}', kept=ONE),
    Case("large-integers", f'{{"total_m3": 1, "x": {2**63}, "y": -{DIGITS}}}', kept=ONE),
    Case("text-of-a-megabyte", json.dumps({"total_m3": 1, "x": "é" * (MEGABYTE // 2)}, ensure_ascii=False), kept=ONE),
    Case("quotes", '{"total_m3": 1, "x\'; DROP TABLE device; --": "\\\\\\"\\u202e"}', kept=ONE),
    # Times that cannot be: the reading is kept under its time of arrival, and marked
    Case("year-1", '{"ts": "0001-01-01T00:00:00+14:00", "total_m3": 1}', kept=UNTIMED),
    Case("year-9999", '{"ts": "9999-12-31T23:59:59-14:00", "total_m3": 1}', kept=UNTIMED),
    Case("before-1970", '{"ts": -5, "total_m3": 1}', kept=UNTIMED),
    Case("ts-of-400-digits", f'{{"ts": {DIGITS}, "total_m3": 1}}', kept=UNTIMED),
    Case("ts-1e308", '{"ts": 1e308, "total_m3": 1}', kept=UNTIMED),
    Case("no-zone", '{"ts": "2026-11-23T10:00:00", "total_m3": 1}', kept=UNTIMED),
    Case("fraction", '{"ts": 1780000000.25, "total_m3": 1}', kept=[{"time_flagged": False}]),
    Case("soon", '{"ts": "soon", "total_m3": 1}', bad=[(-1, "wrong_type", "ts: ")]),
    Case("ts-true", '{"ts": true, "total_m3": 1}', bad=[(-1, "wrong_type", "ts: expected a time, found bool")]),
    # One bad among good
    Case(
        "bad-among-good",
        array(
            {"ts": 1780000001, "total_m3": 1}, {"ts": 1780000002, "total_m3": "?"}, {"ts": 1780000003, "total_m3": 3}
        ),
        kept=[{"total_m3": 1.0}, {"total_m3": 3.0}],
        bad=[(1, "wrong_type", "total_m3: expected a number")],
    ),
    Case(
        "every-sort-among-good",
        array(
            {"ts": 1780000001, "total_m3": 1, "x": 2**70},
            {"ts": 1780000002, "total_m3": -1, "x": 2**70},
            "text",
            None,
            {"ts": 1780000005, "event": "exploded", "x": 2**70},
            {"ts": 1780000006, "total_m3": 6},
        ),
        kept=[{"total_m3": 1.0}, {"total_m3": 6.0}],
        bad=[
            (1, "out_of_range", "total_m3"),
            (2, "wrong_type", "object"),
            (3, "wrong_type", "object"),
            (4, "unknown_event", "exploded"),
        ],
    ),
    Case(
        "deep-among-good",
        f'[{{"ts": 1780000001, "total_m3": 1}}, {{"x": {nested(500)}}}, {{"ts": 1780000003, "total_m3": 3}}]',
        kept=[{"total_m3": 1.0}, {"total_m3": 3.0}],
        bad=[(1, "too_large", "nested")],
    ),
    Case(
        "told-twice",
        array({"ts": 1780000001, "total_m3": 1}, {"ts": 1780000001, "total_m3": 1}),
        kept=ONE,
    ),
    Case(
        "told-otherwise",
        array({"ts": 1780000001, "total_m3": 1, "x": 2**70}, {"ts": 1780000001, "total_m3": 2, "x": 2**70}),
        kept=ONE,
        bad=[(1, "conflict", "already has other values")],
    ),
    Case(
        "completed",
        array({"ts": 1780000001, "total_m3": 1}, {"ts": 1780000001, "flow_m3h": 0.5}),
        kept=[{"total_m3": 1.0, "flow_m3h": 0.5}],
    ),
    # A gateway's batch: the devices are named inside
    Case(
        "gateway",
        array(
            {"id": "batch-good", "ts": 1780000001, "total_m3": 1},
            {"ts": 1780000001, "total_m3": 1},
            {"id": "", "total_m3": 1},
            {"id": "a/b", "total_m3": 1},
            {"id": "a\x00b", "total_m3": 1},
            {"id": 7, "total_m3": 1, "x": 2**70},
            {"id": "x" * 65, "total_m3": 1},
            {"id": "batch-good", "ts": 1780000002, "total_m3": 2},
        ),
        bad=[
            *((part, "no_identity", '"id"') for part in (1, 2, 3, 4)),
            (5, "wrong_type", "id: expected a text"),
            (6, "no_identity", '"id"'),
        ],
        suffix="batch",
    ),
    # Topics
    Case("shallow", '{"total_m3": 1}', [], [(-1, "wrong_topic", "a topic is city/")], "city/dijon/{name}"),
    Case(
        "deep-topic", "{}", [], [(-1, "wrong_topic", "a topic is city/")], "city/dijon/water_meter/{name}/a/telemetry"
    ),
    Case("suffix", "{}", [], [(-1, "wrong_topic", "the last level is one of")], suffix="gossip"),
    Case("long-topic", "{}", [], [(-1, "wrong_topic", "the last level is one of")], suffix="y" * 60_000),
    Case("no-commune", "{}", [], [(-1, "wrong_topic", "1 to 64 printable")], "city//water_meter/{name}/telemetry"),
    Case("x" * 65, '{"total_m3": 1}', [], [(-1, "wrong_topic", "1 to 64 printable")]),
    Case("cow", '{"milk_l": 1}', [], [(-1, "unknown_kind", "the kinds are")], kind="cow"),
    Case("command", '{"dim_pct": 50}', suffix="cmd_ack"),
    # The other codecs
    Case("hfp-words", "hello", bad=NO_JSON, topic=HFP),
    Case("hfp-other-event", '{"DOO": {}}', bad=[(-1, "wrong_type", "'VP'")], topic=HFP),
    Case("hfp-year", '{"VP": {"tsi": 1e300, "lat": 60.1, "long": 24.1}}', topic=HFP),
    Case("hfp-forever", '{"VP": {"tsi": 1e308, "lat": 60.1, "long": 24.1}}', topic=HFP),
    Case("hfp-speed", '{"VP": {"tsi": 1780000000, "spd": 1e308}}', bad=[(0, "out_of_range", "speed_kmh")], topic=HFP),
    Case("hfp-deep", f'{{"VP": {{"x": {nested(900)}}}}}', bad=TOO_DEEP, topic=HFP),
    Case("hfp-short", "{}", bad=[(-1, "wrong_topic", "at least six more levels")], topic="/hfp/v2/journey/{name}"),
    Case("wm-words", "hello", bad=NO_JSON, topic="wmbusmeters/{name}"),
    Case("wm-empty", "", bad=NO_JSON, topic="wmbusmeters/{name}"),
    Case("wm-no-media", "{}", bad=[(-1, "wrong_type", "media is missing")], topic="wmbusmeters/{name}"),
    Case("wm-no-id", '{"media": "water"}', bad=[(-1, "no_identity", "is empty")], topic="wmbusmeters/{name}"),
    Case(
        "wm-digits",
        f'{{"media": "water", "id": "1", "total_m3": {2**70}}}',
        bad=[(-1, "out_of_range", "total_m3")],
        topic="wmbusmeters/{name}",
    ),
)
TEN_THOUSAND = 10_000


@dataclass(frozen=True)
class Outcome:
    """What became of everything that was sent."""

    hub: Processes
    pids: Mapping[str, int]
    database_url: str
    quarantine: Mapping[str, list[Mapping[str, object]]]
    """By topic, in the order of the parts."""
    rows: Mapping[str, list[Mapping[str, object]]]
    """By device id, in the order of time."""
    sent_between: int
    """Good readings of other devices that were sent in between."""


@pytest.fixture(scope="module")
async def outcome(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, broker: Embedded
) -> AsyncIterator[Outcome]:
    """A hub that was sent every case, with a good reading after each, and has read it all."""
    home = tmp_path_factory.mktemp("bad_input")
    with Processes(home, database_url, broker.mqtt_url) as hub:
        hub.start("intake", "worker")
        await hub.hears()
        pids = {name: process.pid for name, process in hub.running.items()}
        publisher = Publisher(broker.simulator_url)
        for number, case in enumerate(CASES):
            publisher.publish(case.where, case.payload)
            publisher.publish("city/dijon/water_meter/bystander/telemetry", good(number))
        many = [json.loads(good(number)) for number in range(TEN_THOUSAND)]
        publisher.publish("city/dijon/water_meter/ten-thousand/telemetry", json.dumps(many))
        untimed = [{"total_m3": number} for number in range(1_000)]
        publisher.publish("city/dijon/water_meter/a-thousand-at-once/telemetry", json.dumps(untimed))
        await asyncio.to_thread(publisher.close)
        assert len(publisher.acknowledged) == 2 * len(CASES) + 2
        log = LogReader(home / "log")
        await eventually(lambda: asyncio.sleep(0, log.next_offset), lambda n: n >= 2 * len(CASES) + 2)
        await eventually(lambda: everything_is_read(database_url, log.log_id, log.next_offset), bool, timeout_s=60)
        log.close()
        yield Outcome(hub, pids, database_url, *await looked_up(database_url), len(CASES))


def good(number: int) -> str:
    return json.dumps({"ts": 1_780_000_000 + number, "total_m3": number})


async def looked_up(url: str) -> tuple[dict[str, list[Mapping[str, object]]], dict[str, list[Mapping[str, object]]]]:
    quarantine: dict[str, list[Mapping[str, object]]] = {}
    for row in await fetch(url, "SELECT * FROM quarantine ORDER BY log_offset, part"):
        quarantine.setdefault(bytes(row["topic"]).decode(), []).append(row)
    rows: dict[str, list[Mapping[str, object]]] = {}
    for row in await fetch(url, "SELECT d.id, m.* FROM water_meter m JOIN device d USING (device_no) ORDER BY ts"):
        rows.setdefault(str(row["id"]), []).append(row)
    return quarantine, rows


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_bad_part_waits_with_a_reason_and_the_rest_is_stored(outcome: Outcome, case: Case):
    found = outcome.quarantine.get(case.where, [])
    assert [(row["part"], row["reason"]) for row in found] == [(part, reason) for part, reason, _ in case.bad]
    for row, (part, _, words) in zip(found, case.bad, strict=True):
        assert words in row["detail"]
        assert row["detail"].isprintable() and len(row["detail"]) < 400
        if part < 0:
            assert bytes(row["payload"]) == (case.payload.encode() if isinstance(case.payload, str) else case.payload)
    if case.kind == "water_meter" and not case.topic:
        rows = outcome.rows.get(case.name, [])
        assert len(rows) == len(case.kept)
        for row, kept in zip(rows, case.kept, strict=True):
            assert {name: row[name] for name in kept} == kept


async def test_the_bad_element_of_an_array_is_kept_alone(outcome: Outcome):
    case = next(case for case in CASES if case.name == "bad-among-good")
    (row,) = outcome.quarantine[case.where]
    assert json.loads(bytes(row["payload"])) == [{"ts": 1780000002, "total_m3": "?"}]


async def test_what_a_kind_does_not_declare_is_kept_beside(outcome: Outcome):
    def rest(name: str) -> object:
        (row,) = outcome.rows[name]
        return row["rest"]

    assert rest("own-columns") == {"device_no": 1, "received_at": 2, "rest": {"ts": 3}}
    assert rest("nul") == {"la\ufffdbel": "a\ufffdb"}
    assert rest("quotes") == {"x'; DROP TABLE device; --": '\\"\u202e'}
    assert set(rest("large-integers")) == {"x", "y"}
    assert len(rest("text-of-a-megabyte")["x"]) == MEGABYTE // 2


async def test_good_elements_of_a_batch_reach_their_device(outcome: Outcome):
    assert [row["total_m3"] for row in outcome.rows["batch-good"]] == [1, 2]


async def test_an_hfp_time_that_cannot_be_is_marked(outcome: Outcome):
    rows = await fetch(outcome.database_url, "SELECT time_flagged, lat FROM fleet_vehicle")
    assert [(row["time_flagged"], row["lat"]) for row in rows] == [(True, 60.1)] * 2


async def test_who_stands_beside_is_not_disturbed(outcome: Outcome):
    assert [row["total_m3"] for row in outcome.rows["bystander"]] == list(range(outcome.sent_between))


async def test_an_array_of_ten_thousand_is_stored(outcome: Outcome):
    assert [row["total_m3"] for row in outcome.rows["ten-thousand"]] == list(range(TEN_THOUSAND))


async def test_a_thousand_readings_of_one_instant_leave_one_and_the_others_wait(outcome: Outcome):
    (row,) = outcome.rows["a-thousand-at-once"]
    assert (row["total_m3"], row["time_flagged"]) == (0, True)
    others = outcome.quarantine["city/dijon/water_meter/a-thousand-at-once/telemetry"]
    assert [(row["part"], row["reason"]) for row in others] == [(part, "conflict") for part in range(1, 1_000)]


async def test_the_same_processes_still_run(outcome: Outcome):
    assert {name: process.poll() for name, process in outcome.hub.running.items()} == {"intake": None, "worker": None}
    assert {name: process.pid for name, process in outcome.hub.running.items()} == outcome.pids
    said = outcome.hub.said()
    assert "Traceback" not in said and "rror" not in said, said


async def test_everything_is_accounted_for(outcome: Outcome):
    await accounts_balance(outcome.database_url, outcome.hub.home)
