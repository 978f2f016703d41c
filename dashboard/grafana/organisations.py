"""An organisation of Grafana for each contract: its own data source, and the dashboards of its kinds.

What a contract sees is decided in the database, by the role that its data source logs in with. The organisation
keeps people of one provider from the dashboards, and from the data source, of another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dashboard.grafana.api import Asking
from dashboard.grafana.boards import Board
from dashboard.grafana.datasource import Datasource, push_datasource, remove_datasource
from dashboard.grafana.push import Pushed, all_new, push
from hub.errors import BeffroiError

PREFIX = "Beffroi: "


@dataclass(frozen=True, slots=True)
class Step:
    """What was done to an organisation, or would be: `new`, `changed` or `removed`, and what."""

    what: str
    thing: str
    diff: str = ""


@dataclass(slots=True)
class Outcome:
    """What a push did to the organisation of a contract, or would do."""

    steps: list[Step] = field(default_factory=list)
    boards: Pushed | None = None
    """None: they were not looked at."""


def organisation_of(contract: str) -> str:
    """The name of a contract's organisation, by which it is found again."""
    return f"{PREFIX}{contract}"


class Organisations:
    """The organisations of a Grafana, as its server administrator sees them.

    Only an account can ask for them, with its password: a token belongs to one organisation and makes none.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._user, self._password = user, password
        self._asking = Asking(url, (user, password))

    def numbers(self) -> dict[str, int]:
        """Every organisation's number by its name."""
        found = self._asking.ask(self._asking.api.organizations.list_organization)
        return {one["name"]: one["id"] for one in found}

    def inside(self, number: int) -> Asking:
        """The same account in an organisation; nothing is asked before Grafana says that it is there."""
        asking = Asking(self._url, (self._user, self._password), number)
        answered = asking.ask(asking.api.organization.get_current_organization).get("id")
        if answered != number:
            raise BeffroiError(
                f"Grafana at {self._url} answers for its organisation {answered} when it is asked for {number}: "
                "does a proxy take away the header X-Grafana-Org-Id? Set BEFFROI_GRAFANA_URL to Grafana's own address"
            )
        return asking

    def make(self, name: str) -> int:
        """A new organisation, whose first member is this account."""
        made = self._asking.ask(lambda: self._asking.api.organization.create_organization({"name": name}))
        return int(made["orgId"])

    def is_admin_of(self, number: int) -> bool:
        """May this account work in the organisation? A server administrator may not, unless it is a member."""
        return self._membership(number).get("role") == "Admin"

    def join(self, number: int) -> None:
        """Be a member of the organisation, with the role Admin."""
        orgs, mine = self._asking.api.organizations, self._membership(number)
        if mine:
            self._asking.ask(lambda: orgs.organization_user_update(number, mine["userId"], "Admin"))
        else:
            user = {"loginOrEmail": self._user, "role": "Admin"}
            self._asking.ask(lambda: orgs.organization_user_add(number, user))

    def remove(self, number: int) -> None:
        """Delete an organisation, with all that is in it."""
        self._asking.ask(lambda: self._asking.api.organizations.delete_organization(number))

    def _membership(self, number: int) -> dict[str, object]:
        members = self._asking.ask(lambda: self._asking.api.organizations.organization_user_list(number))
        return next((one for one in members if self._user in (one.get("login"), one.get("email"))), {})


def push_contract(
    organisations: Organisations,
    contract: str,
    boards: Mapping[str, Board],
    source: Datasource,
    new_password: Callable[[], str],
    *,
    dry_run: bool = False,
) -> Outcome:
    """Make the contract's organisation with its data source and dashboards; what is as declared is not touched."""
    name = organisation_of(contract)
    outcome = Outcome()
    number = organisations.numbers().get(name)
    if number is None:
        outcome.steps.append(Step("new", f"the organisation {name}"))
        if dry_run:
            outcome.steps.append(Step("new", f"its data source, as {source['user']}"))
            outcome.boards = all_new(boards)
            return outcome
        number = organisations.make(name)
    if not _enter(organisations, number, outcome, dry_run=dry_run):
        return outcome
    inside = organisations.inside(number)
    what, diff = push_datasource(inside, source, new_password, dry_run=dry_run)
    if what != "same":
        outcome.steps.append(Step(what, f"its data source, as {source['user']}", diff))
    outcome.boards = push(inside, boards, dry_run=dry_run)
    return outcome


def end_contract(
    organisations: Organisations, contract: str, *, delete: bool = False, dry_run: bool = False
) -> Outcome:
    """Take the data source out of the organisation of a contract that ended; delete it all only when told to."""
    name = organisation_of(contract)
    outcome = Outcome()
    number = organisations.numbers().get(name)
    if number is None:
        return outcome
    if delete:
        outcome.steps.append(Step("removed", f"the organisation {name}"))
        if not dry_run:
            organisations.remove(number)
    elif _enter(organisations, number, outcome, dry_run=dry_run) and remove_datasource(
        organisations.inside(number), dry_run=dry_run
    ):
        outcome.steps.append(Step("removed", f"the data source of the organisation {name}"))
    return outcome


def _enter(organisations: Organisations, number: int, outcome: Outcome, *, dry_run: bool) -> bool:
    """Become an administrator of the organisation where the account is none; can it work there now?"""
    if organisations.is_admin_of(number):
        return True
    outcome.steps.append(Step("new", "this account an administrator of the organisation, to see what is there"))
    if not dry_run:
        organisations.join(number)
    return not dry_run
