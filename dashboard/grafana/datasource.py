"""The data source of an organisation: how Grafana reaches the database there, and as what role."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from dashboard.grafana.api import Asking
from dashboard.grafana.panels import DATASOURCE_TYPE, DATASOURCE_UID
from dashboard.grafana.push import difference
from hub.errors import BeffroiError

NAME = "Beffroi"
CONNECTIONS = 5
"""That Grafana may hold open for one contract; the role itself may have twice as many (store/contract_logins.py)."""
TLS = ("require", "verify-ca", "verify-full")
Datasource = dict[str, object]
"""A data source as Grafana's API takes it, without its password."""


@dataclass(frozen=True, slots=True)
class Database:
    """Where the database is, for Grafana."""

    address: str
    """host:port"""
    name: str
    sslmode: str
    """One that Grafana knows: disable, or one of TLS."""

    @classmethod
    def of_url(cls, url: str, address: str | None = None) -> "Database":
        """The database of the hub's own URL, at another address where Grafana reaches it at another."""
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        sslmode = parse_qs(parts.query).get("sslmode", [""])[-1]
        return cls(
            address or f"{host}:{parts.port or 5432}",
            unquote(parts.path.lstrip("/")),
            sslmode if sslmode in TLS else "disable",
        )


def datasource(database: Database, role: str, connections: int = CONNECTIONS) -> Datasource:
    """The data source that every panel asks, which logs in as a role. Pure."""
    return {
        "name": NAME,
        "uid": DATASOURCE_UID,
        "type": DATASOURCE_TYPE,
        "access": "proxy",
        "isDefault": True,
        "url": database.address,
        "user": role,
        "jsonData": {
            "database": database.name,
            "sslmode": database.sslmode,
            "postgresVersion": 1700,
            "timescaledb": True,  # $__timeGroup becomes time_bucket
            "maxOpenConns": connections,
            "maxIdleConns": 2,
            "connMaxLifetime": 600,  # seconds: an open connection outlives its role's log-in no longer
        },
    }


def push_datasource(
    asking: Asking, wanted: Datasource, new_password: Callable[[], str], *, dry_run: bool = False
) -> tuple[str, str]:
    """Make an organisation's data source as wanted, and work: (`new`, `changed` or `same`, what differs).

    Nobody can read the password back from Grafana, so one that works stays, and with every change comes a new one,
    which `new_password` has made good in the database.
    """
    api = asking.api.datasource
    found = asking.find(lambda: api.get_datasource_by_uid(DATASOURCE_UID))
    diff = "" if found is None else difference({key: found.get(key) for key in wanted}, wanted)
    fault = _fault(asking) if found is not None and not diff else None
    if found is not None and not diff and fault is None:
        return "same", ""
    if not dry_run:
        full = {**wanted, "secureJsonData": {"password": new_password()}}
        if found is None:
            asking.ask(lambda: api.create_datasource(full))
        else:
            asking.ask(lambda: api.update_datasource_by_uid(DATASOURCE_UID, full))
        if still := _fault(asking):
            raise BeffroiError(
                f"Grafana at {asking.url} cannot use the database at {wanted['url']} as {wanted['user']}: {still}; "
                "set BEFFROI_GRAFANA_DATABASE to the host:port where Grafana reaches it"
            )
    return ("new", "") if found is None else ("changed", diff or f"a new password: {fault}")


def remove_datasource(asking: Asking, *, dry_run: bool = False) -> bool:
    """Take the data source out of an organisation; was it there?"""
    api = asking.api.datasource
    is_there = asking.find(lambda: api.get_datasource_by_uid(DATASOURCE_UID)) is not None
    if is_there and not dry_run:
        asking.ask(lambda: api.delete_datasource_by_uid(DATASOURCE_UID))
    return is_there


def _fault(asking: Asking) -> str | None:
    return asking.check(lambda: asking.api.datasource.health(DATASOURCE_UID))
