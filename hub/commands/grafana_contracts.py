"""`beffroi grafana push --contracts`: in Grafana an organisation for each contract, in the database its log-in."""

import asyncio
import secrets as random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from dashboard.grafana.boards import boards
from dashboard.grafana.datasource import Database, datasource
from dashboard.grafana.organisations import (
    PREFIX,
    Organisations,
    Outcome,
    end_contract,
    organisation_of,
    push_contract,
)
from hub.commands.grafana import WORDS, console, grafana_url, report
from hub.errors import BadSetting
from hub.secrets import Secrets, database_url
from hub.settings import Settings
from store.contract_logins import Tenant, close_login, open_login, tenants
from store.database import Connection, connect

T = TypeVar("T")


def push(settings: Settings, *, dry_run: bool, delete_ended: bool) -> None:
    """Make every contract's organisation, and close those that ended; says what was done, or would be."""
    url = grafana_url(settings)
    if not settings.grafana_user or not settings.grafana_password:
        raise BadSetting(
            "organisations are made by a server administrator of Grafana, with a name and a password, since a token "
            "belongs to one organisation; set BEFFROI_GRAFANA_USER and BEFFROI_GRAFANA_PASSWORD"
        )
    known = _in_database(settings, tenants)
    for tenant in known:  # first, so that a Grafana that does not answer keeps no log-in open
        if tenant.is_ended and tenant.can_log_in:
            _close(settings, tenant, dry_run=dry_run)
    organisations = Organisations(url, settings.grafana_user, settings.grafana_password)
    there = organisations.numbers()
    for tenant in known:
        if tenant.is_ended:
            _say(end_contract(organisations, tenant.name, delete=delete_ended, dry_run=dry_run), dry_run=dry_run)
        else:
            console.print(f"{organisation_of(tenant.name)}:")
            _say(_push_one(settings, organisations, tenant, dry_run=dry_run), dry_run=dry_run)
    if not known:
        console.print("there are no contracts; beffroi contracts import makes them")
    ours = {organisation_of(tenant.name) for tenant in known}
    for name in sorted(name for name in there if name.startswith(PREFIX) and name not in ours):
        console.print(f"left over: the organisation {name}; no contract has that name, delete it in Grafana")


def _push_one(settings: Settings, organisations: Organisations, tenant: Tenant, *, dry_run: bool) -> Outcome:
    place = Database.of_url(database_url(settings, Secrets.of(settings.home)), settings.grafana_database)

    def new_password() -> str:
        password = random.token_urlsafe(32)
        _in_database(settings, partial(open_login, tenant=tenant, password=password))
        return password

    return push_contract(
        organisations,
        tenant.name,
        boards(settings.language, tenant.time_zone, tenant.kinds),
        datasource(place, tenant.role),
        new_password,
        dry_run=dry_run,
    )


def _close(settings: Settings, tenant: Tenant, *, dry_run: bool) -> None:
    if not dry_run:
        _in_database(settings, partial(close_login, tenant=tenant))
    console.print(f"{WORDS[dry_run]['removed']} the log-in of {tenant.role}: the contract {tenant.name} ended")


def _in_database(settings: Settings, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Work on the hub's database, in a transaction that is kept when it ends well."""

    async def whole() -> T:
        async with connect(database_url(settings, Secrets.of(settings.home))) as conn:
            result = await work(conn)
            await conn.commit()
            return result

    return asyncio.run(whole())


def _say(outcome: Outcome, *, dry_run: bool) -> None:
    for step in outcome.steps:
        console.print(f"{WORDS[dry_run][step.what]} {step.thing}")
        if step.diff and dry_run:
            console.print(step.diff)
    if outcome.boards:
        report(outcome.boards, dry_run=dry_run)
