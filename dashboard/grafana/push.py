"""Dashboards into one organisation of a running Grafana: only what differs is written, and a dry run says what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import unified_diff

from dashboard.grafana.api import Asking
from dashboard.grafana.boards import TAG, Board
from dashboard.grafana.panels import DATASOURCE_UID
from hub.errors import BadSetting

FOLDER_UID = "beffroi"
FOLDER_TITLE = "Beffroi"
GIVEN_BY_GRAFANA = frozenset({"id", "version"})
"""What Grafana adds to a dashboard that it keeps."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a push does to one dashboard: `new`, `changed` or `same`."""

    uid: str
    title: str
    what: str
    diff: str = ""


@dataclass(slots=True)
class Pushed:
    """What a push did, or would do."""

    folder_is_new: bool
    changes: list[Change] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    """Dashboards in Grafana that carry our tag and that no declaration makes any more."""


def push(asking: Asking, boards: Mapping[str, Board], *, dry_run: bool = False) -> Pushed:
    """Make an organisation's folder hold these dashboards; those that are the same are not touched."""
    folder = asking.find(lambda: asking.api.folder.get_folder(FOLDER_UID))
    done = Pushed(folder_is_new=folder is None)
    if folder is None and not dry_run:
        asking.ask(lambda: asking.api.folder.create_folder(FOLDER_TITLE, FOLDER_UID))
    for uid, board in boards.items():
        change = _compare(asking, uid, board)
        if change.what != "same" and not dry_run:
            _save(asking, board)
        done.changes.append(change)
    tagged = asking.ask(lambda: asking.api.search.search_dashboards(tag=TAG, type_="dash-db"))
    done.left_over = sorted(found["uid"] for found in tagged if found["uid"] not in boards)
    return done


def must_have_datasource(asking: Asking) -> None:
    """BadSetting when what answers is no Grafana, or one without the data source that panels ask."""
    asking.ask(asking.api.organization.get_current_organization)  # every Grafana answers that
    if asking.find(lambda: asking.api.datasource.get_datasource_by_uid(DATASOURCE_UID)) is None:
        raise BadSetting(
            f"Grafana at {asking.url} has no data source with the uid {DATASOURCE_UID}; "
            "docs/grafana.md says how to make it"
        )


def all_new(boards: Mapping[str, Board]) -> Pushed:
    """What a push would do to an organisation that is not there yet."""
    return Pushed(
        folder_is_new=True, changes=[Change(uid, str(board["title"]), "new") for uid, board in boards.items()]
    )


def _compare(asking: Asking, uid: str, board: Board) -> Change:
    found = asking.find(lambda: asking.api.dashboard.get_dashboard(uid))
    title = str(board["title"])
    if found is None:
        return Change(uid, title, "new")
    if found["meta"].get("provisioned"):
        raise BadSetting(
            f"Grafana reads {uid} from files, as in docker-compose.yml, and lets nobody write it: "
            "export the dashboards there again, or push to another Grafana"
        )
    known = {key: value for key, value in found["dashboard"].items() if key not in GIVEN_BY_GRAFANA}
    moved = found["meta"].get("folderUid") != FOLDER_UID
    if known == board and not moved:
        return Change(uid, title, "same")
    return Change(uid, title, "changed", difference(known, board) or "moved back into its folder")


def _save(asking: Asking, board: Board) -> None:
    payload = {"dashboard": board, "folderUid": FOLDER_UID, "overwrite": True, "message": "beffroi grafana push"}
    asking.ask(lambda: asking.api.dashboard.update_dashboard(payload))


def difference(known: Mapping[str, object], wanted: Mapping[str, object]) -> str:
    """What changes between two dashboards, line by line, with panels by their titles; empty when nothing does."""
    return "\n".join(unified_diff(readable(known), readable(wanted), "in Grafana", "declared", n=0, lineterm=""))


def readable(value: object, path: str = "") -> list[str]:
    """A dashboard as lines `path: value`; a query takes a line for each of its own."""
    if isinstance(value, dict):
        return [line for key in sorted(value) for line in readable(value[key], f"{path}.{key}" if path else key)]
    if isinstance(value, list):
        return [line for place, one in enumerate(value) for line in readable(one, f"{path}[{_name(one, place)}]")]
    if isinstance(value, str) and "\n" in value:
        return [f"{path}: {line}" for line in value.splitlines()]
    return [f"{path}: {value}"]


def _name(value: object, place: int) -> str:
    names = (value.get(key) for key in ("title", "refId", "name")) if isinstance(value, dict) else ()
    return next((str(name) for name in names if name), str(place))
