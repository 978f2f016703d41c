"""Settings, read once from the environment (BEFFROI_*) and beffroi.toml, then passed down; of ours: the clock."""

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from hub.clock import Clock

Port = Annotated[int, Field(ge=1, le=65535)]
PLAIN_HOST = re.compile(r"([\w.-]+|\[[\da-fA-F:]+\])(:\d+)?", re.ASCII)


def _one_of_schemes(url: str, *schemes: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"must look like {schemes[0]}://user:password@host:port")
    return url


def map_origin(url: str) -> str:
    """Scheme, host and port of a base map's address, as a content security policy names them; ValueError if wrong."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not PLAIN_HOST.fullmatch(parts.netloc):
        raise ValueError("must look like https://host/style.json or https://host/{z}/{x}/{y}.png, with one plain host")
    if not all(part in url for part in ("{z}", "{x}", "{y}")) and re.search(r"[{}]", url):
        raise ValueError("is no template of tiles: it needs {z}, {x} and {y}; without braces it is a MapLibre style")
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """What a broker's URL says: mqtt:// or mqtts://, user and password if any, host and port."""

    host: str
    port: int
    username: str | None
    password: str | None
    is_tls: bool

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL; ValueError when it is no broker's."""
        parts = urlsplit(_one_of_schemes(url, "mqtt", "mqtts"))
        is_tls = parts.scheme == "mqtts"
        return cls(
            host=parts.hostname or "",
            port=parts.port or (8883 if is_tls else 1883),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            is_tls=is_tls,
        )

    def __str__(self) -> str:
        """For messages: never the password."""
        return f"{self.host}:{self.port}"

    def client_arguments(self) -> dict[str, Any]:
        """The keywords of an `aiomqtt.Client`."""
        return {
            "hostname": self.host,
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "tls_context": ssl.create_default_context() if self.is_tls else None,
        }


class Source(BaseModel):
    """Where messages come from: a broker, topic filters and the codec that reads them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]
    codec: str = "native"
    topics: tuple[str, ...] = Field(min_length=1)
    url: str | None = None
    """mqtt:// or mqtts:// with user and password if any; the hub's own broker when absent."""
    commune: str = "dijon"
    """The commune of devices whose topic does not carry one."""
    ca_file: Path | None = None
    """Certificates that may sign the broker's, instead of the machine's."""
    keep_session: bool = True
    """False for public brokers, which keep no session for a stranger."""

    @field_validator("url")
    @classmethod
    def _url(cls, url: str | None) -> str | None:
        return url and _one_of_schemes(url, "mqtt", "mqtts")


Days = Annotated[int, Field(ge=1)]


class Keep(BaseModel):
    """How many days the hub keeps each class of history; a kind may allow less of its own readings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    readings: Days = 90
    """As they came."""
    quarters: Days = 100
    """Figures of a device by the quarter of an hour."""
    hours: Days = 800
    days: Days = 3650
    """Also a commune's figures by the hour."""
    events: Days = 800
    accesses: Days = 365
    """Who looked at where a vehicle was."""


class Settings(BaseSettings):
    """What a city can set; every field is BEFFROI_ and its name in capitals, or a key of beffroi.toml."""

    model_config = SettingsConfigDict(env_prefix="BEFFROI_", frozen=True, extra="forbid", toml_file="beffroi.toml")

    home: Path = Path(".beffroi")
    """Everything that the hub writes on this machine: runtime, log, checkpoints, secrets."""
    runtime: Path | None = None
    """Where the embedded servers' programs are; `runtime` in the home when absent."""
    programs: Literal["auto", "machine", "own"] = "auto"
    """Programs of the embedded servers and of the tests' browser: this machine's where they fit, else unpacked ones;
    this machine's only; or unpacked ones only."""
    archive: Path | None = None
    """Folder, best on another disk, to which the embedded database copies every change, for a restore to any moment."""
    database_url: str | None = None
    """A running TimescaleDB; the embedded one when absent."""
    mqtt_url: str | None = None
    """A running broker; the embedded one when absent."""
    host: str = "127.0.0.1"
    """Address that the page listens on."""
    http_port: Port = 8080
    mqtt_host: str = "127.0.0.1"
    """Address that the embedded broker listens on."""
    mqtt_port: Port = 1883
    postgres_port: Port = 5433
    sources: tuple[Source, ...] = ()
    """Sources beside the hub's own three (native, HSL feed and wmbusmeters on its own broker)."""
    city: Annotated[Path, Field(validate_default=False)] = Path("simulators/cities/dijon")
    outlines: Path | None = None
    """GeoJSON with the real outlines of the city's communes; the city's own, generated ones when absent."""
    map_style: str | None = None
    """A real base map: address of a MapLibre style, or of raster tiles with {z}, {x} and {y}; the city's own when
    absent."""
    map_style_night: str | None = None
    """The same for the dark theme; the day's, darkened, when absent."""
    map_attribution: str | None = None
    """Whose the base map is, to be written on it; tiles need one, a style brings its own."""
    timezone: str = "Europe/Paris"
    language: Literal["fr", "en"] = "fr"
    """Language of notifications and of a first visit."""
    notify_urls: Annotated[tuple[str, ...], NoDecode] = ()
    """Apprise URLs, comma separated; a file in the home when absent."""
    notify_priority: Annotated[int, Field(ge=1, le=3)] = 2
    """Incidents of this priority or higher (1 is the highest) call at once; the rest wait for the morning list."""
    page_url: str | None = None
    """Address of the page as people reach it, for links in notifications."""
    grafana_url: str | None = None
    """Address of a Grafana, for `beffroi grafana push`."""
    grafana_token: str | None = None
    """Of a service account there, with the role Admin."""
    keep: Keep = Keep()
    """How long history is kept, in days: readings, quarters, hours, days, events, accesses."""
    quota_messages_per_s: Annotated[float, Field(ge=0)] = 200
    """What a topic may say in a second of hub time; 100 times as much where it speaks for many devices. 0: no limit."""
    quota_bytes_per_s: Annotated[float, Field(ge=0)] = 2_000_000
    """The same in bytes; 10 times as much where it speaks for many devices."""
    strangers: Annotated[int, Field(ge=0)] = 50_000
    """So many devices that nobody declared are taken in at most; what others say is counted and sampled."""
    grafana_user: str | None = None
    """A server administrator there, for `beffroi grafana push --contracts`."""
    grafana_password: str | None = None
    grafana_database: str | None = None
    """host:port where Grafana reaches the database; as the hub does when absent."""
    clock: str | None = None
    """`real_us:hub_us:speed`; set by `beffroi up --speed`, for its processes."""
    log_format: Literal["console", "json"] = "console"

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, url: str | None) -> str | None:
        return url and _one_of_schemes(url, "postgresql", "postgres")

    @field_validator("mqtt_url")
    @classmethod
    def _mqtt_url(cls, url: str | None) -> str | None:
        return url and _one_of_schemes(url, "mqtt", "mqtts")

    @field_validator("grafana_url")
    @classmethod
    def _grafana_url(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "http://none")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError("must look like http://host:port, without a name and password")
        return url

    @field_validator("grafana_database")
    @classmethod
    def _grafana_database(cls, address: str | None) -> str | None:
        parts = urlsplit(f"//{address or 'none:1'}")
        try:
            is_right = bool(parts.hostname and parts.port) and parts.netloc == (address or "none:1")
        except ValueError:  # a port that is no number
            is_right = False
        if not is_right or parts.username:
            raise ValueError("must look like host:port")
        return address

    @field_validator("map_style", "map_style_night")
    @classmethod
    def _map_style(cls, url: str | None) -> str | None:
        if url:
            map_origin(url)
        return url

    @field_validator("notify_urls", mode="before")
    @classmethod
    def _split(cls, urls: object) -> object:
        return tuple(filter(None, map(str.strip, urls.split(",")))) if isinstance(urls, str) else urls

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("no time zone of this machine; one is Europe/Paris") from error
        return name

    @field_validator("city")
    @classmethod
    def _city(cls, city: Path) -> Path:
        if not (city / "communes.yaml").is_file():
            raise ValueError("no folder of a city there (one with a communes.yaml)")
        return city

    @field_validator("clock")
    @classmethod
    def _clock(cls, clock: str | None) -> str | None:
        return clock and str(Clock.parse(clock))

    @property
    def the_clock(self) -> Clock:
        """The clock that every process of this hub reads."""
        return Clock.parse(self.clock) if self.clock else Clock()

    @property
    def runtime_dir(self) -> Path:
        return self.runtime or self.home / "runtime"
