"""Dashboards into a running Grafana, through its HTTP API: only what differs is written, and a dry run says what.

A token belongs to one organisation of Grafana. An organisation for each contract will be one `Grafana` each, with a
token of its own, and in it a data source of the same uid that logs in with the contract's role.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Any
from urllib.parse import urlsplit

from grafana_client import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException, GrafanaUnauthorizedError
from requests.exceptions import RequestException

from dashboard.grafana.boards import TAG, Board
from dashboard.grafana.panels import DATASOURCE_UID
from hub.errors import BadSetting, BeffroiError, Unavailable

FOLDER_UID = "beffroi"
FOLDER_TITLE = "Beffroi"
TIMEOUT_S = 15.0
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


class Grafana:
    """One organisation of a Grafana; its errors are ours, and say what to do."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self._api = GrafanaApi(
            token,
            host=f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname,
            port=parts.port,
            protocol=parts.scheme,
            url_path_prefix=f"{parts.path.strip('/')}/".lstrip("/"),
            timeout=TIMEOUT_S,
        )

    def push(self, boards: Mapping[str, Board], *, dry_run: bool = False) -> Pushed:
        """Make this Grafana's folder hold these dashboards; those that are the same are not touched."""
        self._ask(self._api.organization.get_current_organization)  # every Grafana answers that
        self._must_have_datasource()
        folder = self._find(lambda: self._api.folder.get_folder(FOLDER_UID))
        done = Pushed(folder_is_new=folder is None)
        if folder is None and not dry_run:
            self._ask(lambda: self._api.folder.create_folder(FOLDER_TITLE, FOLDER_UID))
        for uid, board in boards.items():
            change = self._compare(uid, board)
            if change.what != "same" and not dry_run:
                self._save(board)
            done.changes.append(change)
        tagged = self._ask(lambda: self._api.search.search_dashboards(tag=TAG, type_="dash-db"))
        done.left_over = sorted(found["uid"] for found in tagged if found["uid"] not in boards)
        return done

    def _compare(self, uid: str, board: Board) -> Change:
        found = self._find(lambda: self._api.dashboard.get_dashboard(uid))
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

    def _save(self, board: Board) -> None:
        payload = {"dashboard": board, "folderUid": FOLDER_UID, "overwrite": True, "message": "beffroi grafana push"}
        self._ask(lambda: self._api.dashboard.update_dashboard(payload))

    def _must_have_datasource(self) -> None:
        if self._find(lambda: self._api.datasource.get_datasource_by_uid(DATASOURCE_UID)) is None:
            raise BadSetting(
                f"Grafana at {self._url} has no data source with the uid {DATASOURCE_UID}; "
                "docs/grafana.md says how to make it"
            )

    def _find(self, question: Callable[[], Any]) -> Any:
        """An answer, or None when Grafana has no such thing."""
        return self._ask(question, missing_is_none=True)

    def _ask(self, question: Callable[[], Any], *, missing_is_none: bool = False) -> Any:
        try:
            answer = question()
        except GrafanaUnauthorizedError as error:
            raise BadSetting(
                f"Grafana at {self._url} refuses the token; make one for a service account with the role Admin "
                "and set BEFFROI_GRAFANA_TOKEN"
            ) from error
        except GrafanaClientError as error:
            if error.status_code == 404 and missing_is_none and isinstance(error.response, dict):
                return None
            raise self._refusal(error) from error
        except GrafanaException as error:
            raise Unavailable(f"Grafana at {self._url} fails: {error.message}") from error
        except ValueError as error:  # not JSON; requests' own error of that is both this and a RequestException
            raise self._stranger() from error
        except RequestException as error:
            raise Unavailable(f"Grafana at {self._url} does not answer: {_reason(error)}") from error
        if not isinstance(answer, dict | list):
            raise self._stranger()
        return answer

    def _refusal(self, error: GrafanaClientError) -> BeffroiError:
        if error.status_code == 403:
            return BadSetting(
                f"the token of BEFFROI_GRAFANA_TOKEN may not do that at {self._url} ({error.message}); "
                "its service account needs the role Admin"
            )
        if error.status_code == 404 or not isinstance(error.response, dict):
            return self._stranger()
        return BeffroiError(f"Grafana at {self._url} refuses: {error.message}")

    def _stranger(self) -> BadSetting:
        return BadSetting(
            f"what answers at {self._url} is not Grafana; set BEFFROI_GRAFANA_URL to the address of its "
            "home page, with its path if it has one"
        )


def difference(known: Board, wanted: Board) -> str:
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


def _reason(error: RequestException) -> str:
    """The innermost reason, without the library's own words."""
    text = str(error)
    for words in ("Connection refused", "Name or service not known", "timed out", "certificate verify failed"):
        if words in text:
            return words[0].lower() + words[1:]
    return text.rpartition(": ")[2].strip("')\" ") or type(error).__name__
