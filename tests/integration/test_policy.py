"""The city's own rules and thresholds, from the database to the worker that runs: seconds later, and undone again."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from devices.bad_expression import BadExpression
from devices.own_rule import OwnRule
from devices.policy import Override
from devices.registry import Device
from devices.transition import Transition
from hub.clock import Clock
from hub.errors import BadSetting
from hub.settings import BrokerAddress, Keep
from ingest.city import load_city
from ingest.history import History
from ingest.live import Live
from ingest.log import LogReader, LogWriter, Message
from ingest.sources import all_sources, readers
from ingest.voice import Voice, open_transitions
from ingest.worker import Worker
from store import policy
from store.database import Connection, connect
from store.registry import commissioned, import_devices, load
from store.rulebook import Rulebook
from tests.processes import eventually

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
WITHIN_S = 5.0
LAMPS = ("dijon", "talant")
KIND = "street_lighting"
HOT = OwnRule(KIND, "lamp", "draws_much", "power_w > 100", priority=1, title_fr="Surconsommation", help_en="Too much.")


def devices() -> list[Device]:
    """A lamp in each of two communes, on a feeder and a cabinet, of different models."""
    return [
        device
        for commune, model in zip(LAMPS, ("Teceo 1", "Citea"), strict=True)
        for device in (
            Device(commune, KIND, "L1", "lamp", "F1", attributes={"rated_power_w": 60.0}, model=model),
            Device(commune, KIND, "F1", "feeder", "A1"),
            Device(commune, KIND, "A1", "cabinet"),
        )
    ]


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    """In a transaction that is never committed: every test begins with nothing decided."""
    async with connect(database_url, autocommit=True) as made, made.transaction(force_rollback=True):
        await import_devices(made, devices(), NOW)
        yield made


@pytest.fixture
async def live(own_database_url: str) -> AsyncIterator[Connection]:
    """What the worker sees."""
    async with connect(own_database_url, autocommit=True) as made:
        await import_devices(made, devices(), NOW)
        yield made


def lower(value: float, **where: str) -> Override:
    return Override(KIND, "lamp_out", "min_ratio", value, **where)  # type: ignore[arg-type]


async def test_every_change_has_a_number_and_can_be_undone(connection: Connection):
    async def state() -> tuple[list[str], list[float]]:
        decided = await policy.decisions(connection)
        return [rule.condition for rule in decided.rules], [one.value for one in decided.overrides]

    assert await policy.version(connection) == 0
    assert await policy.save_rule(connection, HOT, "ann", NOW) == 1
    assert await policy.save_rule(connection, HOT, "ann", NOW) == 1, "nothing is new"
    other = msgspec.structs.replace(HOT, condition="power_w > 200")
    assert await policy.save_rule(connection, other, "bob", NOW) == 2
    assert await policy.set_override(connection, lower(0.1, scope="group", place="dijon/A1"), "ann", NOW) == 3
    assert await policy.set_override(connection, lower(0.2, scope="group", place="dijon/A1"), "ann", NOW) == 4
    assert await state() == (["power_w > 200"], [0.2])

    with pytest.raises(BadSetting, match="version 4 of ann has changed the same since"):
        await policy.undo(connection, 3, "bob", NOW)
    assert await policy.undo(connection, 4, "bob", NOW) == 5
    assert await policy.undo(connection, 3, "bob", NOW) == 6, "what it left is there again"
    assert await policy.undo(connection, 2, "bob", NOW) == 7
    assert await state() == (["power_w > 100"], [])
    assert await policy.undo(connection, 6, "bob", NOW) == 8, "an undo is a change like another"
    assert await state() == (["power_w > 100"], [0.1])

    history = await policy.history(connection)
    assert [(one.version, one.who, one.what, one.undoes) for one in history][:2] == [
        (8, "bob", "undo", 6),
        (7, "bob", "undo", 2),
    ]
    assert [one.version for one in await policy.history(connection, before=4, limit=2)] == [3, 2]


async def test_the_model_of_a_device_is_kept_and_exported(connection: Connection):
    models = {device.key: device.model async for device in commissioned(connection)}
    assert (models["dijon", KIND, "L1"], models["dijon", KIND, "F1"]) == ("Teceo 1", None)
    assert sorted(set((await load(connection)).model.tolist())) == ["", "Citea", "Teceo 1"]
    again = await import_devices(connection, [replace(device, model="Citea") for device in devices()], NOW)
    assert (again.changed, again.unchanged) == (5, 1)


async def test_a_removed_rule_takes_its_thresholds_along_and_comes_back_with_them(connection: Connection):
    await policy.save_rule(connection, HOT, "ann", NOW)
    await policy.set_override(connection, Override(KIND, "draws_much", "hold_s", 60), "ann", NOW)
    with pytest.raises(BadSetting, match="no rule 'draws_much'"):
        await policy.undo(connection, 1, "ann", NOW)
    removed = await policy.remove_rule(connection, KIND, "draws_much", "ann", NOW)
    decided = await policy.decisions(connection)
    assert (decided.rules, decided.overrides) == ((), ())
    assert decided.kinds()[KIND].rule("draws_much").title.fr == "Surconsommation", "its incidents still have words"
    await policy.undo(connection, removed, "ann", NOW)
    decided = await policy.decisions(connection)
    assert [rule.code for rule in decided.rules] == ["draws_much"]
    assert [one.threshold for one in decided.overrides] == ["hold_s"]


REFUSED = [
    (lower(0.1, scope="commune", place="dijn"), "there are dijon, talant"),
    (lower(0.1, scope="model", place="Teceo"), "there are Citea, Teceo 1"),
    (lower(0.1, scope="device", place="dijon/L9"), "no device 'dijon/L9'"),
    (lower(0.1, scope="device", place="999999"), "no device '999999'"),
    (lower(0.1, scope="commune"), "say which commune"),
    (lower(float("nan")), "is no number"),
    (Override(KIND, "lamp_out", "min_watt", 1), "it has calm_s, "),
    (Override(KIND, "lamp_out", "priority", 4), "the priority is 1"),
    (Override(KIND, "lamp_out", "enabled", 2), "1 or 0"),
    (Override(KIND, "lamp_out", "hold_s", -1), "0 to 31622400 seconds"),
    (Override(KIND, "lamp_in", "hold_s", 1), "no rule 'lamp_in'"),
]


async def test_a_threshold_that_cannot_be_is_refused_and_leaves_nothing(connection: Connection):
    for override, why in REFUSED:
        with pytest.raises(BadSetting, match=why):
            await policy.set_override(connection, override, "ann", NOW)
    assert await policy.version(connection) == 0
    assert (await policy.decisions(connection)).overrides == ()


async def test_a_rule_that_cannot_be_is_refused(connection: Connection):
    with pytest.raises(BadExpression, match="Did you mean power_w"):
        await policy.save_rule(connection, msgspec.structs.replace(HOT, condition="powr_w > 3"), "ann", NOW)
    await policy.save_rule(connection, HOT, "ann", NOW)
    on_feeders = msgspec.structs.replace(HOT, type="feeder", condition="current_a > 3")
    with pytest.raises(BadSetting, match="another code"):
        await policy.save_rule(connection, on_feeders, "ann", NOW)


@dataclass
class Hub:
    """The worker, in this process, between a log that the test writes and a log of transitions that it reads."""

    home: Path
    database_url: str
    mqtt_url: str
    log: LogWriter
    clock: Clock = field(default_factory=Clock)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _rest: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self, database_url: str = "") -> None:
        url = database_url or self.database_url
        transitions = self._rest.enter_context(await open_transitions(self.home / "transitions"))
        worker = Worker(
            home=self.home,
            log=LogReader(self.home / "log"),
            voice=Voice(transitions, self.clock, Live(BrokerAddress.parse(self.mqtt_url), self.clock)),
            codecs=readers(all_sources(())),
            database_url=url,
            clock=self.clock,
            city=await load_city(url, self.home),
            history=History(url, self.clock, ZoneInfo("Europe/Paris"), Keep(), None),
        )
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(worker.run(self._stop))

    async def stop(self) -> None:
        if self._task is not None:
            self._stop.set()
            await self._task
            self._task = None
            await self._rest.aclose()

    def tell(self, power_w: float) -> None:
        """Both lamps say what they draw, now."""
        now_us = self.clock.now_us()
        payload = {"ts": self.clock.now().isoformat(), "dim_pct": 100, "power_w": power_w}
        self.log.append(
            [
                Message(0, now_us, "city", f"city/{commune}/{KIND}/L1/telemetry", json.dumps(payload).encode())
                for commune in LAMPS
            ]
        )

    def told(self, code: str) -> list[tuple[str, int, int]]:
        """What was told of a rule: action, device, priority."""
        reader = LogReader(self.home / "transitions")
        told = [Transition.decode(message.payload) for message in reader.read(0, 1000)]
        reader.close()
        return [(one.action, one.device_no, one.priority) for one in told if one.code == code]

    async def tells(self, power_w: float, code: str, wanted: list[tuple[str, int, int]]) -> float:
        """Let the lamps speak until this is what was told of a rule; returns how long that took."""
        began = time.monotonic()

        async def told() -> list[tuple[str, int, int]]:
            self.tell(power_w)
            await asyncio.sleep(0.1)
            return self.told(code)

        await eventually(told, lambda seen: sorted(seen) == sorted(wanted), timeout_s=WITHIN_S)
        return time.monotonic() - began


@pytest.fixture
async def hub(tmp_path: Path, own_database_url: str, live: Connection, broker) -> AsyncIterator[Hub]:
    with LogWriter(tmp_path / "log") as log:
        hub = Hub(tmp_path, own_database_url, broker.mqtt_url, log)
        await hub.start()
        try:
            yield hub
        finally:
            await hub.stop()


async def numbers(connection: Connection) -> list[int]:
    rows = await (await connection.execute("SELECT device_no FROM device WHERE id = 'L1' ORDER BY commune")).fetchall()
    return [row["device_no"] for row in rows]


async def test_rules_and_thresholds_take_effect_within_seconds_and_are_taken_back(hub: Hub, live: Connection, measured):
    dijon, talant = await numbers(live)
    async with live.transaction():
        await policy.save_rule(live, HOT, "ann", NOW)
        in_dijon = Override(KIND, "draws_much", "priority", 2, "commune", "dijon")
        number = await policy.set_override(live, in_dijon, "ann", NOW)
    fires = [("fire", dijon, 2), ("fire", talant, 1)]
    measured(f"a new rule fired {await hub.tells(150, 'draws_much', fires):.1f} s later")

    async with live.transaction():
        await policy.undo(live, number, "ann", NOW)
        await policy.save_rule(live, msgspec.structs.replace(HOT, scope="commune", place="dijon"), "ann", NOW)
    await hub.tells(150, "draws_much", [*fires, ("fire", dijon, 1), ("clear", talant, 1)])

    await policy.remove_rule(live, KIND, "draws_much", "ann", NOW)
    overs = [("clear", dijon, 1), ("clear", talant, 1)]
    await hub.tells(150, "draws_much", [*fires, ("fire", dijon, 1), *overs])


@pytest.mark.soak
async def test_a_threshold_of_a_part_changes_who_fires(hub: Hub, live: Connection):
    dijon, talant = await numbers(live)
    async with live.transaction():
        await policy.set_override(live, Override(KIND, "lamp_out", "hold_s", 0), "ann", NOW)
        number = await policy.set_override(live, lower(0.28, scope="commune", place="dijon"), "ann", NOW)
    told = [("fire", dijon, 3)]
    await hub.tells(15, "lamp_out", told)
    told += [("clear", dijon, 3)]
    await hub.tells(58, "lamp_out", told)
    async with live.transaction():
        await policy.undo(live, number, "ann", NOW)
        await policy.set_override(live, lower(0.28, scope="model", place="Citea"), "ann", NOW)
    told += [("fire", talant, 3)]
    await followed(live, hub)
    await hub.tells(15, "lamp_out", told)
    await policy.set_override(live, Override(KIND, "lamp_out", "enabled", 0, "group", "talant/A1"), "ann", NOW)
    told += [("clear", talant, 3)]
    await hub.tells(15, "lamp_out", told)


async def followed(connection: Connection, hub: Hub) -> None:
    """Wait until the worker has kept what is decided."""
    path = hub.home / "policy.json"
    number = await policy.version(connection)
    await eventually(lambda: asyncio.sleep(0, json.loads(path.read_bytes())), lambda seen: seen["version"] == number)


@pytest.mark.soak
async def test_what_was_removed_while_the_worker_was_away_is_over_when_it_is_back(hub: Hub, live: Connection):
    dijon, talant = await numbers(live)
    await policy.save_rule(live, HOT, "ann", NOW)
    fires = [("fire", dijon, 1), ("fire", talant, 1)]
    await hub.tells(150, "draws_much", fires)
    await hub.stop()
    await policy.remove_rule(live, KIND, "draws_much", "ann", NOW)
    await hub.start()
    await hub.tells(150, "draws_much", [*fires, ("clear", dijon, 1), ("clear", talant, 1)])


@pytest.mark.soak
async def test_a_worker_without_the_database_goes_on_with_the_rules_that_it_knew(hub: Hub, live: Connection):
    dijon, talant = await numbers(live)
    await policy.save_rule(live, HOT, "ann", NOW)
    told = [("fire", dijon, 1), ("fire", talant, 1)]
    await hub.tells(150, "draws_much", told)
    told += [("clear", dijon, 1), ("clear", talant, 1)]
    await hub.tells(50, "draws_much", told)
    await hub.stop()
    await hub.start("postgresql://nobody@127.0.0.1:1/nothing")
    told += [("fire", dijon, 1), ("fire", talant, 1)]
    await hub.tells(150, "draws_much", told)


async def test_the_rulebook_knows_an_own_rule_also_without_the_database(connection: Connection, tmp_path: Path):
    await policy.save_rule(connection, HOT, "ann", NOW)
    rulebook = Rulebook(tmp_path / "policy.json")
    assert "draws_much" not in [rule.code for rule in rulebook[KIND].rules]
    await rulebook.follow(connection)
    assert rulebook[KIND].rule("draws_much").priority == 1
    assert Rulebook(tmp_path / "policy.json")[KIND].rule("draws_much").title.en == "Surconsommation"
