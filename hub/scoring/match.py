"""Compares what was found with the truth: which faults were found and when, and which incidents had no fault. Pure.

A fault is found when the rule that its row names fired on its device between its start and its end with a grace,
whether it opened an incident or joined the one of its cause; or when an incident stood meanwhile on what the device
hangs from, or on its gateway, whose rule explains that one. An incident is right when its device, something that it
hangs from, its gateway, or several of its children had a fault then; the rest are false alerts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from alerts.scene import Incident, Scene
from hub.clock import SECOND_US
from simulators.fault_table import HARMLESS, SORTS
from simulators.faults import Fault

HOUR_US = 3600 * SECOND_US
GRACE_US = 2 * HOUR_US
"""After its end a fault may still be found, and its effects be told: a lamp that is off speaks once an hour."""
WATER_GRACE_US = 40 * HOUR_US
"""A meter tells twice a day of the hours before, and such a batch may come 26 hours late."""
SEVERAL = 3
"""So many children at fault are a fault of their parent."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fired on a device; times in microseconds since 1970."""

    device_no: int
    code: str
    ts_us: int
    """Event time."""
    at_us: int
    """Hub time."""


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
        if code is not None:
            found.append((one, min(_noticed(one, code, scene, fired, standing), default=None)))
        else:
            about = (incident for incident in incidents if incident.cause_no == one.device_no)
            unseen.append((one, Counter(incident.code for incident in about if _meet(one, incident))))
    false = [(incident, truth.harmless(incident)) for incident in incidents if not truth.explains(incident)]
    return Verdict(found, unseen, false)


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
        self._below: dict[int, list[Injected]] = {}
        for one in injected:
            self._at.setdefault(one.device_no, []).append(one)
            place = scene.places[one.device_no]
            for above in {place.parent_no, place.gateway_no} - {None}:
                assert above is not None
                self._below.setdefault(above, []).append(one)

    def explains(self, incident: Incident) -> bool:
        if any(one.is_real and _meet(one, incident) for one in self._around(incident)):
            return True
        below = self._below.get(incident.cause_no, ())
        return sum(one.is_real and _meet(one, incident) for one in below) >= SEVERAL

    def harmless(self, incident: Incident) -> str:
        """The harmless fault that a false alert is due to, '' when there is none."""
        names = (one.fault.name for one in self._around(incident) if not one.is_real and _meet(one, incident))
        return next(names, "")

    def _around(self, incident: Incident) -> Iterator[Injected]:
        for place in self._scene.around(incident.cause_no):
            yield from self._at.get(place, ())
