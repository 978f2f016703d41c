"""What a question may say: its parameters, their limits, and what is wrong with them. Pure."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import HTTPException, Query
from pydantic import AwareDatetime
from pydantic import Field as Bounds

from devices.kind import Field, Kind, kinds

MAX_LIMIT = 1000
MAX_READINGS = 10_000
MAX_POINTS = 2000
MAX_DEVICES = 100
MAX_DAYS = 400
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

_KIND = Query(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="A kind of device.")
_NUMBER = Bounds(ge=1, le=2**31 - 1)
_NUMBERS = Query(alias="device_no", min_length=1, max_length=MAX_DEVICES, description="Numbers of devices of one kind.")
_SINCE = Query(alias="from", description="First moment, RFC 3339 with a time zone.")
_UNTIL = Query(alias="to", description="The moment after the last, RFC 3339 with a time zone.")

# FastAPI reads what is said of a parameter from the outermost Annotated only, so each optional one has a name.
KindName = Annotated[str, _KIND]
AnyKind = Annotated[str | None, _KIND]
DeviceNos = Annotated[list[Annotated[int, _NUMBER]], _NUMBERS]
AnyDeviceNos = Annotated[list[Annotated[int, _NUMBER]] | None, _NUMBERS]
AnyDeviceNo = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The number of a device.")]
AnyName = Annotated[str | None, Query(pattern=r"^[^\x00-\x1f\x7f/+#]{1,64}$")]
Since = Annotated[AwareDatetime, _SINCE]
Until = Annotated[AwareDatetime, _UNTIL]
AnySince = Annotated[AwareDatetime | None, _SINCE]
AnyUntil = Annotated[AwareDatetime | None, _UNTIL]
Cursor = Annotated[str | None, Query(max_length=100, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows of a page.")]
FieldNames = Annotated[
    str | None,
    Query(
        pattern=r"^[a-z0-9_]+(,[a-z0-9_]+)*$",
        max_length=1000,
        description="Fields, separated by commas; all if absent.",
    ),
]


def refuse(detail: str, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY) -> HTTPException:
    """The error that says what is wrong with a question."""
    return HTTPException(status, detail)


def moment(asked: datetime, name: str) -> datetime:
    """A time that every part of the hub can count with, in UTC."""
    try:
        utc = asked.astimezone(UTC)
    except OverflowError as error:
        raise refuse(f"{name} is out of range") from error
    if not EARLIEST <= utc <= LATEST:
        raise refuse(f"{name} must be between {EARLIEST.year} and {LATEST.year}")
    return utc


def span(since: datetime, until: datetime, max_days: int = MAX_DAYS) -> tuple[datetime, datetime]:
    """The time asked for; 422 when it is empty or longer than `max_days`."""
    first, after = moment(since, "from"), moment(until, "to")
    if first >= after:
        raise refuse("from must be before to")
    if after - first > timedelta(days=max_days):
        raise refuse(f"at most {max_days} days at once")
    return first, after


def kind_of(name: str) -> Kind:
    """The kind of that name; 422 names those that there are."""
    kind = kinds().get(name)
    if kind is None:
        raise refuse(f"there is no kind {name}; kinds are {', '.join(sorted(kinds()))}")
    return kind


def fields_of(kind: Kind, names: str | None) -> tuple[Field, ...]:
    """The fields asked for, in the order of the declaration; 422 names those that there are."""
    if names is None:
        return kind.fields
    asked = set(names.split(","))
    if strange := sorted(asked - set(kind.field_names)):
        known = ", ".join(kind.field_names)
        raise refuse(f"{kind.name} has no field {', '.join(strange)}; its fields are {known}")
    return tuple(field for field in kind.fields if field.name in asked)
