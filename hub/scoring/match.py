"""Compares what was found with the truth: which faults were found and when, and which incidents had no fault. Pure.

A fault is found when the rule that its row names fired on its device between its start and its end with a grace,
whether it opened an incident or joined the one of its cause; or when an incident stood meanwhile on what the device
hangs from, or on its gateway, whose rule explains that one. An incident is right when its device, something that it
hangs from, its gateway, or several of its children had a fault then. What tells of the weather is counted apart; the
rest are false alerts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from alerts.scene import Incident, Place, Scene
from hub.clock import SECOND_US
from simulators.fault_table import HARMLESS, SORTS
from simulators.faults import Fault

HOUR_US = 3600 * SECOND_US
GRACE_US = 2 * HOUR_US
"""After its end a fault may still be found, and its effects be told: a lamp that is off speaks once an hour."""
WATER_GRACE_US = 40 * HOUR_US
"""A meter tells twice a day of the hours before, and such a batch may come 26 hours late."""
SEVERAL = 3
"""So many children at fault, or half of those of a type and at least two, are a fault of their parent."""
DARK = "works_window"
"""A fault behind a feeder that is switched off for works all the while can be seen by nobody, and does not count."""
OF_THE_WORLD = frozenset(
    {
        "air_indication",
        "co2_high",
        "fog_as_dust",
        "frost",
        "heavy_rain",
        "ice_risk",
        "no2_alert",
        "no2_information",
        "noise_high",
        "o3_alert",
        "o3_information",
        "pm10_alert",
        "pm10_information",
        "river_flood",
        "river_high",
        "strong_gusts",
    }
)
"""Rules that tell of weather and air and not of a fault. What is injected does not say whether they are right."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fired on a device."""

    device_no: int
    code: str
    at_us: int
    """Hub time, in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault with its device's number. It began at `start_us`, or when the run did."""

    fault: Fault
    device_no: int
    start_us: int

    @property
    def until_us(self) -> int:
        return self.fault.end_us + grace_us(self.fault.kind)

    @property
    def is_real(self) -> bool:
        return self.fault.name not in HARMLESS


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run compared with the truth."""

    found: Sequence[tuple[Injected, int | None]]
    """The faults that a rule should notice, with the hub time at which it did."""
    unseen: Sequence[tuple[Injected, Counter[str]]]
    """Those that none can notice, with the codes of the incidents that were opened on their device all the same."""
    false: Sequence[tuple[Incident, str]]
    """False alerts, each with the harmless fault that brought it about, or ''."""
    world: Sequence[Incident]
    """Those that tell of the weather or the air: neither right nor false as far as the truth goes."""


def grace_us(kind: str) -> int:
    """How long after its end a fault of a kind still counts."""
    return WATER_GRACE_US if kind == "water_meter" else GRACE_US


def compare(
    faults: Iterable[Injected], scene: Scene, firings: Iterable[Firing], incidents: Sequence[Incident]
) -> Verdict:
    """Match a run's firings and incidents with its faults. The scene gives places and rules."""
    injected = list(faults)
    fired: dict[tuple[int, str], list[int]] = {}
    for firing in firings:
        fired.setdefault((firing.device_no, firing.code), []).append(firing.at_us)
    standing: dict[tuple[int, str], list[Incident]] = {}
    for incident in incidents:
        standing.setdefault((incident.cause_no, incident.code), []).append(incident)
    truth = _Truth(injected, scene)
    found, unseen = [], []
    for one in injected:
        code = SORTS[one.fault.name].code
        if truth.hides(one):
            continue
        if code is not None:
            found.append((one, min(_noticed(one, code, scene, fired, standing), default=None)))
        else:
            about = (incident for incident in incidents if incident.cause_no == one.device_no)
            unseen.append((one, Counter(incident.code for incident in about if _meet(one, incident))))
    without = [incident for incident in incidents if not truth.explains(incident)]
    world = [incident for incident in without if incident.code in OF_THE_WORLD]
    false = [(incident, truth.harmless(incident)) for incident in without if incident.code not in OF_THE_WORLD]
    return Verdict(found, unseen, false, world)


def _noticed(
    one: Injected,
    code: str,
    scene: Scene,
    fired: Mapping[tuple[int, str], Sequence[int]],
    standing: Mapping[tuple[int, str], Sequence[Incident]],
) -> Iterator[int]:
    """The times at which a fault was told, by its own rule or by one that explains it."""
    yield from (at for at in fired.get((one.device_no, code), ()) if one.start_us <= at <= one.until_us)
    for place in scene.explanations(one.device_no, one.fault.kind, code):
        for incident in standing.get(place, ()):
            if _meet(one, incident) or _stood_at(incident, one.start_us):
                yield max(incident.detected_us, one.start_us)


def _meet(one: Injected, incident: Incident) -> bool:
    """Was it opened while the fault was there, or soon after? Its device's clock may be wrong either way."""
    return one.start_us <= incident.detected_us and incident.opened_us <= one.until_us


def _stood_at(incident: Incident, at_us: int) -> bool:
    return incident.detected_us <= at_us and (incident.closed_us is None or incident.closed_us > at_us)


class _Truth:
    """The faults by place, to ask whether an incident has one."""

    def __init__(self, injected: Iterable[Injected], scene: Scene) -> None:
        self._scene = scene
        self._at: dict[int, list[Injected]] = {}
        self._below: dict[tuple[int, str | None], list[Injected]] = {}
        self._children = Counter(child for place in scene.places.values() for child in _above(place))
        for one in injected:
            self._at.setdefault(one.device_no, []).append(one)
            for child in _above(scene.places[one.device_no]):
                self._below.setdefault(child, []).append(one)

    def explains(self, incident: Incident) -> bool:
        if any(one.is_real and _meet(one, incident) for one in self._around(incident)):
            return True
        return any(
            sum(one.is_real and _meet(one, incident) for one in below) >= self._several(child)
            for child, below in self._below.items()
            if child[0] == incident.cause_no
        )

    def _several(self, child: tuple[int, str | None]) -> float:
        return min(SEVERAL, max(2.0, self._children[child] / 2))

    def hides(self, one: Injected) -> bool:
        """Is what it hangs from switched off as long as it lasts?"""
        above = (other for place in self._scene.around(one.device_no) for other in self._at.get(place, ()))
        return any(
            other.fault.name == DARK and other.start_us <= one.start_us and one.fault.end_us <= other.fault.end_us
            for other in above
            if other is not one
        )

    def harmless(self, incident: Incident) -> str:
        """The harmless fault that a false alert is due to, '' when there is none."""
        names = (one.fault.name for one in self._around(incident) if not one.is_real and _meet(one, incident))
        return next(names, "")

    def _around(self, incident: Incident) -> Iterator[Injected]:
        for place in self._scene.around(incident.cause_no):
            yield from self._at.get(place, ())


def _above(place: Place) -> Iterator[tuple[int, str | None]]:
    """What a place hangs from and its gateway, each with the place's type."""
    for above in {place.parent_no, place.gateway_no}:
        if above is not None:
            yield above, place.type
