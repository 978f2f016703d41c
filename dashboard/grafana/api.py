"""Asking a Grafana over its HTTP API, as somebody, in one of its organisations; its errors become ours."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from grafana_client import GrafanaApi
from grafana_client.client import (
    GrafanaBadInputError,
    GrafanaClientError,
    GrafanaException,
    GrafanaServerError,
    GrafanaUnauthorizedError,
)
from requests.exceptions import RequestException

from hub.errors import BadSetting, BeffroiError, Unavailable

TIMEOUT_S = 15.0
Credential = str | tuple[str, str]
"""A service account's token, or the name and password of an account."""


class Asking:
    """Questions to one organisation of a Grafana; its errors are ours, and say what to do.

    A token belongs to one organisation. An account asks the one that is named by its number, else the one that it
    is in at that moment.
    """

    def __init__(self, url: str, credential: Credential, organisation: int | None = None) -> None:
        parts = urlsplit(url)
        self.url = url
        self._credential = credential
        self.api = GrafanaApi(
            # As bytes, since requests would encode texts as Latin-1.
            credential if isinstance(credential, str) else tuple(part.encode() for part in credential),
            host=f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname,
            port=parts.port,
            protocol=parts.scheme,
            url_path_prefix=f"{parts.path.strip('/')}/".lstrip("/"),
            timeout=TIMEOUT_S,
            organization_id=organisation,
        )
        # Else Grafana checks a data source as it was up to five seconds ago.
        self.api.client.s.headers["X-Grafana-NoCache"] = "true"

    def ask(self, question: Callable[[], Any]) -> Any:
        """The answer, a dict or a list."""
        return self._ask(question, missing_is_none=False)

    def find(self, question: Callable[[], Any]) -> Any:
        """An answer, or None when Grafana has no such thing."""
        return self._ask(question, missing_is_none=True)

    def check(self, question: Callable[[], Any]) -> str | None:
        """What a question about something's health says is wrong, None when nothing is; Grafana says it with a 400."""

        def answered() -> Any:
            try:
                return question()
            except GrafanaBadInputError as error:
                return error.response
            except GrafanaServerError as error:
                return {"message": error.message}

        answer = self.ask(answered)
        said = " ".join(str(answer.get("message")).split())
        return None if answer.get("status") == "OK" else said

    def _ask(self, question: Callable[[], Any], *, missing_is_none: bool) -> Any:
        try:
            answer = question()
        except GrafanaUnauthorizedError as error:
            raise self._nobody() from error
        except GrafanaClientError as error:
            if error.status_code == 404 and missing_is_none and isinstance(error.response, dict):
                return None
            raise self._refusal(error) from error
        except GrafanaException as error:
            raise Unavailable(f"Grafana at {self.url} fails: {error.message}") from error
        except ValueError as error:  # not JSON; requests' own error of that is both this and a RequestException
            raise self._stranger() from error
        except RequestException as error:
            raise Unavailable(f"Grafana at {self.url} does not answer: {_reason(error)}") from error
        if not isinstance(answer, dict | list):
            raise self._stranger()
        return answer

    def _nobody(self) -> BadSetting:
        if isinstance(self._credential, str):
            return BadSetting(
                f"Grafana at {self.url} refuses the token; make one for a service account with the role Admin "
                "and set BEFFROI_GRAFANA_TOKEN"
            )
        return BadSetting(
            f"Grafana at {self.url} refuses the name and password of {self._credential[0]}; set BEFFROI_GRAFANA_USER "
            "and BEFFROI_GRAFANA_PASSWORD, and see that Grafana allows basic authentication ([auth.basic])"
        )

    def _refusal(self, error: GrafanaClientError) -> BeffroiError:
        if error.status_code == 403 and isinstance(self._credential, str):
            return BadSetting(
                f"the token of BEFFROI_GRAFANA_TOKEN may not do that at {self.url} ({error.message}); "
                "its service account needs the role Admin"
            )
        if error.status_code == 403:
            return BadSetting(
                f"the account {self._credential[0]} may not do that at {self.url} ({error.message}); organisations "
                "need a server administrator of Grafana, which is more than the role Admin"
            )
        if error.status_code == 404 or not isinstance(error.response, dict):
            return self._stranger()
        return BeffroiError(f"Grafana at {self.url} refuses: {error.message}")

    def _stranger(self) -> BadSetting:
        return BadSetting(
            f"what answers at {self.url} is not Grafana; set BEFFROI_GRAFANA_URL to the address of its "
            "home page, with its path if it has one"
        )


def _reason(error: RequestException) -> str:
    """The innermost reason, without the library's own words."""
    text = str(error)
    for words in ("Connection refused", "Name or service not known", "timed out", "certificate verify failed"):
        if words in text:
            return words[0].lower() + words[1:]
    return text.rpartition(": ")[2].strip("')\" ") or type(error).__name__
