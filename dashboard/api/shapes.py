"""The shapes of answers, for the description of the API: every answer has one of these. Pure."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    instance: str = Field(examples=["/api/v1/devices/7"])
    detail: str | None = Field(default=None, examples=["your contract has no device 7"])


class FieldOfKind(BaseModel):
    """A column of readings."""

    name: str
    unit: str = Field(description="Empty for a number without unit and for a flag.")
    type: Literal["real", "double", "flag"]
    label_fr: str
    label_en: str


class KindOfDevice(BaseModel):
    """A kind of device that the contract covers."""

    kind: str
    label_fr: str
    label_en: str
    fields: list[FieldOfKind]


class KeyInUse(BaseModel):
    """The key that asked."""

    prefix: str
    holder: str
    scopes: list[str]
    expires_at: datetime


class LimitsOfKey(BaseModel):
    """What one request, and one minute, may hold."""

    requests_per_minute: int
    devices_per_page: int
    readings_per_page: int
    points_per_device: int
    devices_per_request: int
    days_per_request: int
    seconds_per_request: int


class Contract(BaseModel):
    """What the contract covers, the key that asks, and its limits."""

    name: str
    provider: str
    communes: list[str]
    from_day: date
    to_day: date | None = Field(description="Its last day; null while it goes on.")
    time_zone: str
    vehicle_positions: bool = Field(description="Does it see where vehicles were?")
    household_readings: Literal["daily", "all"] = Field(
        description="daily: of a household's meter, the last reading of each finished day."
    )
    kinds: list[KindOfDevice]
    key: KeyInUse
    limits: LimitsOfKey


class Device(BaseModel):
    """A device of the contract."""

    device_no: int = Field(description="Its number in every other answer.")
    commune: str
    kind: str
    id: str
    type: str | None
    parent_no: int | None = Field(description="The device that it hangs from.")
    label: str | None
    street: str | None
    lat: float | None = Field(description="WGS 84 degrees.")
    lon: float | None


class DevicePage(BaseModel):
    """Devices by number."""

    devices: list[Device]
    next_cursor: str | None = Field(description="Send it back as `cursor` for the next page; null on the last.")


class Reading(BaseModel):
    """What a device said at one moment."""

    device_no: int
    ts: datetime = Field(description="The device's time of it, UTC.")
    received_at: datetime
    time_flagged: bool = Field(description="The device's time was impossible, and received_at took its place.")
    values: dict[str, float | bool | None]


class Point(BaseModel):
    """What a device said during a stretch of time: means of what varies, last values of counters and flags."""

    device_no: int
    ts: datetime = Field(description="Begin of the stretch, UTC.")
    readings: int = Field(description="How many readings it stands for.")
    values: dict[str, float | bool | None]


class ReadingPage(BaseModel):
    """Readings in the order of device and time, as they came."""

    kind: str
    fields: list[FieldOfKind]
    readings: list[Reading]
    next_cursor: str | None


class Points(BaseModel):
    """Readings thinned to so many moments."""

    kind: str
    fields: list[FieldOfKind]
    width_s: int = Field(description="Length of the stretch that a point stands for.")
    points: list[Point]


class Latest(BaseModel):
    """The last reading of each device."""

    kind: str
    fields: list[FieldOfKind]
    readings: list[Reading]
    next_cursor: str | None


class Incident(BaseModel):
    """A fault and what became of it."""

    incident_no: int
    device_no: int = Field(description="The device that is its cause.")
    kind: str
    commune: str
    id: str
    code: str
    title_fr: str
    title_en: str
    priority: int = Field(description="1 now, 2 next shift, 3 next planned round.")
    state: str
    opened_at: datetime = Field(description="When the fault began.")
    detected_at: datetime
    acknowledged_at: datetime | None
    cleared_at: datetime | None = Field(description="When the fault ended.")
    closed_at: datetime | None
    member_nos: list[int] = Field(description="Devices whose own fault it explains.")


class IncidentPage(BaseModel):
    """Incidents, the newest first."""

    incidents: list[Incident]
    next_cursor: str | None
