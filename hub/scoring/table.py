"""The score of a scenario over its seeds: counts by sort of fault and of false alert, targets, table and JSON. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Self

from devices.kind import Kind
from hub.clock import SECOND_US
from hub.scoring.match import HOUR_US, Verdict
from simulators.fault_table import SORTS

WEEK_US = 7 * 24 * HOUR_US
LEAST_FOUND, MOST_FALSE = 0.95, 1.0
"""Of all faults; of false alerts per 1,000 devices and week."""


@dataclass(frozen=True, slots=True)
class Found:
    """A sort of fault: how many there were, how many were found, and how fast."""

    fault: str
    kind: str
    code: str
    priority: int
    injected: int
    found: int
    median_s: float | None
    worst_s: float | None


@dataclass(frozen=True, slots=True)
class Unseen:
    """A sort of fault that no rule can notice."""

    fault: str
    kind: str
    why: str
    injected: int
    alerts: Mapping[str, int]
    """Incidents that were opened on their devices all the same, by code."""


@dataclass(frozen=True, slots=True)
class FalseAlert:
    """False alerts of one rule."""

    kind: str
    code: str
    priority: int
    count: int
    per_1000_weeks: float
    """Per 1,000 devices of all kinds and week."""
    during: str
    """The harmless fault that brought most of them about, '' when none did."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a scenario's seeds gave together."""

    scenario: str
    title: str
    seeds: Sequence[int]
    devices: int
    hours: float
    """Simulated, of each seed."""
    found: Sequence[Found]
    unseen: Sequence[Unseen]
    false: Sequence[FalseAlert]
    world: Mapping[str, int]
    """Incidents that tell of the weather or the air, by code."""

    @classmethod
    def of(
        cls,
        scenario: str,
        title: str,
        verdicts: Mapping[int, Verdict],
        *,
        devices: int,
        lasts_us: int,
        kinds: Mapping[str, Kind],
    ) -> Self:
        """The score of the verdicts by seed."""
        all_ = list(verdicts.values())
        weeks = len(all_) * lasts_us / WEEK_US
        return cls(
            scenario=scenario,
            title=title,
            seeds=list(verdicts),
            devices=devices,
            hours=lasts_us / HOUR_US,
            found=sorted(_found(all_, kinds), key=lambda row: (row.priority, row.kind, row.fault)),
            unseen=sorted(_unseen(all_), key=lambda row: (row.kind, row.fault)),
            false=sorted(_false(all_, devices / 1000 * weeks), key=lambda row: (row.priority, -row.count, row.code)),
            world=dict(Counter(incident.code for verdict in all_ for incident in verdict.world).most_common()),
        )

    def share(self, priority: int | None = None) -> float | None:
        """Of the faults, or those of a priority, how many were found; None when there were none."""
        rows = [row for row in self.found if priority in (None, row.priority)]
        injected = sum(row.injected for row in rows)
        return sum(row.found for row in rows) / injected if injected else None

    @property
    def false_per_1000_weeks(self) -> float:
        return sum(row.per_1000_weeks for row in self.false)

    @property
    def false_p1(self) -> int:
        return sum(row.count for row in self.false if row.priority == 1)

    def misses(self) -> list[str]:
        """What is short of the targets, a sentence each."""
        p1, every = self.share(1), self.share()
        return [
            said
            for is_missed, said in (
                (p1 is not None and p1 < 1, f"{_percent(p1)} of the P1 faults were found, not all"),
                (every is not None and every < LEAST_FOUND, f"{_percent(every)} of all faults were found, not 95 %"),
                (self.false_p1 > 0, f"{self.false_p1} false alerts of P1, not none"),
                (
                    self.false_per_1000_weeks >= MOST_FALSE,
                    f"{self.false_per_1000_weeks:.2f} false alerts per 1,000 devices and week, not under 1",
                ),
            )
            if is_missed
        ]

    def as_json(self) -> dict[str, object]:
        """Everything, with the targets that were missed."""
        return asdict(self) | {
            "share_found": self.share(),
            "share_p1_found": self.share(1),
            "false_per_1000_weeks": self.false_per_1000_weeks,
            "false_p1": self.false_p1,
            "misses": self.misses(),
        }


def _found(verdicts: Iterable[Verdict], kinds: Mapping[str, Kind]) -> Iterator[Found]:
    delays: dict[str, list[float | None]] = {}
    for verdict in verdicts:
        for one, at_us in verdict.found:
            delay_s = None if at_us is None else max(0.0, (at_us - one.start_us) / SECOND_US)
            delays.setdefault(one.fault.name, []).append(delay_s)
    for name, all_ in delays.items():
        sort, told = SORTS[name], [delay for delay in all_ if delay is not None]
        assert sort.code is not None
        yield Found(
            fault=name,
            kind=sort.kind,
            code=sort.code,
            priority=next((r.priority for r in kinds[sort.kind].rules if r.code == sort.code), 3),
            injected=len(all_),
            found=len(told),
            median_s=median(told) if told else None,
            worst_s=max(told, default=None),
        )


def _unseen(verdicts: Iterable[Verdict]) -> Iterator[Unseen]:
    counts: dict[str, int] = {}
    alerts: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        for one, codes in verdict.unseen:
            name = one.fault.name
            counts[name] = counts.get(name, 0) + 1
            alerts.setdefault(name, Counter()).update(codes)
    for name, count in counts.items():
        yield Unseen(name, SORTS[name].kind, SORTS[name].why_unseen, count, dict(alerts[name].most_common()))


def _false(verdicts: Iterable[Verdict], thousand_weeks: float) -> Iterator[FalseAlert]:
    found: dict[tuple[str, str, int], Counter[str]] = {}
    for verdict in verdicts:
        for incident, during in verdict.false:
            found.setdefault((incident.kind, incident.code, incident.priority), Counter())[during] += 1
    for (kind, code, priority), causes in found.items():
        count = causes.total()
        yield FalseAlert(kind, code, priority, count, count / thousand_weeks, causes.most_common(1)[0][0])


def _percent(share: float | None) -> str:
    # Rounded down: 99.96 % are not all.
    return "-" if share is None else f"{int(share * 1000) / 10:g} %"


def lines(score: Score) -> Iterator[str]:
    """The score as Markdown."""
    seeds = ", ".join(map(str, score.seeds))
    yield f"## {score.scenario}"
    yield ""
    yield f"{score.title}. {score.devices:,} devices, {score.hours:.3g} simulated hours for each seed ({seeds})."
    yield (
        f"Found: {_percent(score.share(1))} of P1, {_percent(score.share())} of all. False alerts:"
        f" {score.false_per_1000_weeks:.2f} per 1,000 devices and week, {score.false_p1} of P1."
    )
    if score.found:
        yield ""
        yield "| fault | rule | priority | injected | found | share | delay, median | worst |"
        yield "|---|---|---|---|---|---|---|---|"
    for row in score.found:
        yield (
            f"| `{row.fault}` | `{row.code}` | P{row.priority} | {row.injected} | {row.found} |"
            f" {_percent(row.found / row.injected)} | {_length(row.median_s)} | {_length(row.worst_s)} |"
        )
    if score.false:
        yield ""
        yield "| false alert | kind | priority | how many | per 1,000 devices and week | most of them during |"
        yield "|---|---|---|---|---|---|"
    for alert in score.false:
        during = f"`{alert.during}`" if alert.during else "nothing"
        yield (
            f"| `{alert.code}` | {alert.kind} | P{alert.priority} | {alert.count} |"
            f" {alert.per_1000_weeks:.2f} | {during} |"
        )
    if score.world:
        yield ""
        told = ", ".join(f"`{code}` {count}" for code, count in score.world.items())
        yield f"Of the weather and the air, which the truth does not judge: {told}."
    if score.unseen:
        yield ""
        yield "| no rule for | injected | why | incidents on its device all the same |"
        yield "|---|---|---|---|"
    for unseen in score.unseen:
        alerts = ", ".join(f"`{code}` {count}" for code, count in unseen.alerts.items()) or "none"
        yield f"| `{unseen.fault}` | {unseen.injected} | {unseen.why} | {alerts} |"


def _length(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, unit_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.3g} {unit}"
    return f"{seconds:.0f} s"
