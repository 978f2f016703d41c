"""A small city under two contracts, for tests: what is not theirs carries CANARY or 31337 wherever it can."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from psycopg import sql

from devices.kind import Figure, Kind, kinds
from store import indicators
from store.contracts import Contract, Scope, add_key, import_contracts
from store.database import Connection, connect
from tests.database import rolled_up

CANARY_NO, CANARY = 31_337, "CANARY"
PARIS = ZoneInfo("Europe/Paris")
TODAY = datetime.now(PARIS).date()
FROM_DAY, TO_DAY = TODAY - timedelta(days=10), TODAY - timedelta(days=3)
SINCE = datetime.combine(FROM_DAY, datetime.min.time(), PARIS).astimezone(UTC)
UNTIL = datetime.combine(TO_DAY + timedelta(days=1), datetime.min.time(), PARIS).astimezone(UTC)
BEFORE, INSIDE, AFTER = SINCE - timedelta(hours=6), SINCE + timedelta(days=2, hours=9), UNTIL + timedelta(hours=6)
OURS_COMMUNE, OTHER_COMMUNE = "dijon", "quetigny"

LAMPS = Contract(
    "lumiere", "Éclairage du Dijonnais", ("street_lighting",), ("dijon",), FROM_DAY, TO_DAY, "Europe/Paris"
)
EVERYTHING = Contract("tout", "Régie", tuple(sorted(kinds())), ("dijon",), FROM_DAY, TO_DAY, "Europe/Paris")
PERSONAL = Contract(
    "tout-personnel",
    "Régie",
    tuple(sorted(kinds())),
    ("dijon",),
    FROM_DAY,
    TO_DAY,
    "Europe/Paris",
    vehicle_positions=True,
    household_readings="all",
    purpose="test",
)
ENDED = Contract(
    "fini", "Ancien", ("street_lighting",), ("dijon",), date(2020, 1, 1), date(2020, 12, 31), "Europe/Paris"
)


@dataclass(frozen=True, slots=True)
class City:
    """Device numbers by kind: what the contracts on Dijon have, and what they have not."""

    url: str
    ours: dict[str, int]
    others: dict[str, int]


async def make_city(url: str) -> City:
    """One device of each kind in each of two communes, with readings and incidents in and out of the dates."""
    city = City(url, {}, {})
    async with connect(url) as conn:
        await import_contracts(conn, [LAMPS, EVERYTHING, PERSONAL, ENDED])
        for place, kind in enumerate(kinds().values()):
            city.ours[kind.name] = await add_device(conn, kind, 100 + place, OURS_COMMUNE, "ours")
            city.others[kind.name] = await add_device(
                conn, kind, CANARY_NO * 10_000 + place, OTHER_COMMUNE, f"{CANARY}-{kind.name}"
            )
            await add_rows(conn, kind, city.ours[kind.name], city.others[kind.name])
            await _add_incidents(conn, kind, city)
            await _add_figures(conn, kind)
        await _add_secrets(conn)
        await rolled_up(conn)
        await conn.commit()
    return city


async def add_device(conn: Connection, kind: Kind, number: int, commune: str, name: str) -> int:
    lat = CANARY_NO if commune == OTHER_COMMUNE else 47.3
    await conn.execute(
        "INSERT INTO device (device_no, commune, kind, id, type, label, street, lat, lon, announced, first_seen_at,"
        " commissioned_at, changed_at, changed_version) OVERRIDING SYSTEM VALUE"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 5.0, %s, %s, %s, now(), 1)",
        [number, commune, kind.name, name, kind.types[0].name, name, name, lat, f'"{CANARY}"', BEFORE, BEFORE],
    )
    return number


async def add_rows(conn: Connection, kind: Kind, ours: int, other: int) -> None:
    """Two readings of ours in the dates of one day; the canary before, after, and everywhere on the other device."""
    numeric = next(field for field in kind.fields if field.storage != "flag" and field.name not in ("lat", "lon"))
    statement = sql.SQL(
        "INSERT INTO {} (device_no, ts, received_at, {}, rest) VALUES (%s, %s, %s, %s, '{{\"CANARY\": 1}}')"
    ).format(sql.Identifier(kind.name), sql.Identifier(numeric.name))
    rows = [
        (ours, INSIDE, 1),
        (ours, INSIDE + timedelta(hours=1), 2),
        (ours, BEFORE, CANARY_NO),
        (ours, AFTER, CANARY_NO),
    ]
    rows += [(other, ts, CANARY_NO) for ts in (BEFORE, INSIDE, AFTER)]
    for device_no, ts, value in rows:
        await conn.execute(statement, [device_no, ts, ts, value])
    if kind.is_mobile:
        place = sql.SQL("UPDATE {} SET lat = 47.5, lon = 5.5").format(sql.Identifier(kind.name))
        await conn.execute(place)


async def _add_figures(conn: Connection, kind: Kind) -> None:
    """What the city watches: of ours in the dates, and the canary elsewhere."""
    for commune, ts, total in (
        (OURS_COMMUNE, INSIDE, 1.0),
        (OURS_COMMUNE, BEFORE, float(CANARY_NO)),
        (OURS_COMMUNE, AFTER, float(CANARY_NO)),
        (OTHER_COMMUNE, INSIDE, float(CANARY_NO)),
    ):
        await indicators.write(conn, ts, [Figure(kind.name, kind.indicators[0].name, commune, total, 1)])


async def _add_incidents(conn: Connection, kind: Kind, city: City) -> None:
    """One incident of ours in the dates, one before them, and one of the other commune's."""
    for cause, code, opened, closed in (
        (city.ours[kind.name], "ours", INSIDE, INSIDE + timedelta(hours=2)),
        (city.ours[kind.name], CANARY, BEFORE - timedelta(hours=1), BEFORE),
        (city.ours[kind.name], CANARY, AFTER, None),
        (city.others[kind.name], CANARY, INSIDE, None),
    ):
        row = await (
            await conn.execute(
                "INSERT INTO incident (cause_no, code, kind, priority, state, opened_at, detected_at, acknowledged_by,"
                " closed_at, explanation) VALUES (%s, %s, %s, 1, %s, %s, %s, %s, %s, %s) RETURNING incident_no",
                [cause, code, kind.name, "closed" if closed else "new", opened, opened, CANARY, closed, f'"{CANARY}"'],
            )
        ).fetchone()
        assert row is not None
        for member in (city.ours[kind.name], city.others[kind.name]):
            if member != cause:
                await conn.execute(
                    "INSERT INTO incident_member (incident_no, device_no, code, since, until, explanation)"
                    " VALUES (%s, %s, %s, %s, %s, %s)",
                    [row["incident_no"], member, CANARY, opened, opened + timedelta(hours=1), f'"{CANARY}"'],
                )


async def _add_secrets(conn: Connection) -> None:
    """A canary in every other ordinary table."""
    await conn.execute("INSERT INTO person VALUES (%s, %s, 'operator')", [CANARY, CANARY])
    await conn.execute("INSERT INTO session VALUES (%s, %s, now())", [CANARY.encode(), CANARY])
    await conn.execute(
        "INSERT INTO event (device_no, ts, received_at, code) SELECT device_no, %s, %s, %s FROM device",
        [INSIDE, INSIDE, CANARY],
    )
    await conn.execute("INSERT INTO position_access SELECT now(), %s, device_no, now(), now() FROM device", [CANARY])
    await conn.execute(
        "INSERT INTO notification (incident_no, purpose, channel, title, body, due_at)"
        " SELECT incident_no, 'opened', '0', %s, %s, now() FROM incident",
        [CANARY, CANARY],
    )
    await conn.execute(
        "INSERT INTO incident_change (incident_no, at, change, who) SELECT incident_no, now(), %s, %s FROM incident",
        [CANARY, CANARY],
    )
    await import_contracts(
        conn, [Contract(f"{CANARY}-contract", CANARY, ("street_lighting",), (OTHER_COMMUNE,), FROM_DAY, None, "UTC")]
    )
    await add_key(conn, f"{CANARY}-contract", CANARY, ["read"], 30)


async def role_of(conn: Connection, contract: Contract) -> str:
    row = await (await conn.execute("SELECT role FROM contract WHERE name = %s", [contract.name])).fetchone()
    assert row is not None
    return str(row["role"])


async def key_of(url: str, contract: Contract, *scopes: Scope) -> str:
    """A fresh key of a contract."""
    async with connect(url) as conn:
        token = await add_key(conn, contract.name, "test", scopes or ("read", "export"), 30)
        await conn.commit()
    return token
