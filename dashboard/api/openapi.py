"""The description of the API (OpenAPI 3.1), with the kinds' own fields and examples. Pure."""

from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi

from dashboard.api.shapes import Problem
from devices.kind import Kind, kinds

PREFIX = "/api/v1"
VERSION = "1.0"
EXAMPLE_AT = "2026-11-23T06:00:00Z"
PROBLEM = "application/problem+json"
ABOUT = """Readings, devices and incidents for the holders of a contract with the city.

Send your key with every request: `Authorization: Bearer bfr_...`. What is outside your contract (its kinds, communes
and days) does not exist here. Times are RFC 3339 in UTC; every request is recorded and the city can see it.
Errors are `application/problem+json` (RFC 9457). `GET /api/v1/contract` tells what you may see and your limits.
"""
_WHY = {
    401: "No key, or one that is unknown, revoked or expired.",
    403: "The key lacks the scope.",
    404: "Your contract has no such thing.",
    422: "The question is wrong or too large; `detail` says how.",
    429: "Asked too often; `Retry-After` says when to ask again.",
    503: "The database does not answer now.",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {status: {"description": why} for status, why in _WHY.items()}


def description(router: APIRouter) -> dict[str, Any]:
    """The OpenAPI document of the API's routes."""
    told = get_openapi(title="Beffroi", version=VERSION, description=ABOUT, routes=router.routes)
    told["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    for path in told["paths"].values():
        for operation in path.values():
            _tell_problems(operation)
            for parameter in operation.get("parameters", ()):
                _tell_kinds(parameter)
    _tell_examples(told)
    for unused in ("HTTPValidationError", "ValidationError"):
        told["components"]["schemas"].pop(unused, None)
    return told


def _tell_problems(operation: dict[str, Any]) -> None:
    for status, why in _WHY.items():
        content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        operation["responses"][str(status)] = {"description": why, "content": content}


def _tell_kinds(parameter: dict[str, Any]) -> None:
    """The kinds and their fields, which the declarations name."""
    if parameter["name"] == "kind":
        parameter["schema"] = {"type": "string", "enum": sorted(kinds())}
        listed = "; ".join(f"`{kind.name}`: {kind.label.en.lower()}" for kind in _sorted_kinds())
        parameter["description"] = f"A kind of device. {listed}."
    elif parameter["name"] == "fields":
        listed = "; ".join(f"`{kind.name}`: {', '.join(kind.field_names)}" for kind in _sorted_kinds())
        parameter["description"] = f"Fields, separated by commas; all if absent. {listed}."
    elif parameter["name"] in ("from", "to"):
        parameter["example"] = EXAMPLE_AT if parameter["name"] == "to" else "2026-11-22T06:00:00Z"


def _tell_examples(told: dict[str, Any]) -> None:
    """One example of an answer per kind, made of the example that the kind declares."""
    for path in ("/readings", "/latest"):
        answer = told["paths"][PREFIX + path]["get"]["responses"]["200"]["content"]["application/json"]
        answer["examples"] = {
            kind.name: {"summary": kind.label.en, "value": _example(kind)} for kind in _sorted_kinds() if kind.examples
        }


def _example(kind: Kind) -> dict[str, Any]:
    said = next(iter(kind.examples.values()))
    fields = [field for field in kind.fields if field.name in said]
    return {
        "kind": kind.name,
        "fields": [
            {"name": f.name, "unit": f.unit, "type": f.storage, "label_fr": f.label.fr, "label_en": f.label.en}
            for f in fields
        ],
        "readings": [
            {
                "device_no": 12,
                "ts": EXAMPLE_AT,
                "received_at": EXAMPLE_AT,
                "time_flagged": False,
                "values": {field.name: said[field.name] for field in fields},
            }
        ],
        "next_cursor": None,
    }


def _sorted_kinds() -> list[Kind]:
    return [kinds()[name] for name in sorted(kinds())]
