"""`beffroi score`: how well the rules detect what a scenario does to a simulated city."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import Progress

from devices.kind import kinds
from hub.errors import BadSetting
from hub.scoring.drive import play
from hub.scoring.match import compare
from hub.scoring.table import Score, lines
from hub.settings import Settings
from simulators.scenario import Scenario, read_scenario


def run(settings: Settings, scenario: str, *, seeds: Sequence[int], scale: float, each: int, as_json: bool) -> Score:
    """Play, compare, print; BadFile or BadSetting before anything is played."""
    wanted = read_scenario(scenario)
    with bar(wanted.name) as told:
        score = scored(settings, wanted, seeds=seeds or (wanted.seed,), scale=scale, each=each, told=told)
    typer.echo(json.dumps(score.as_json(), ensure_ascii=False, indent=2) if as_json else "\n".join(lines(score)))
    return score


def scored(
    settings: Settings,
    scenario: Scenario,
    *,
    seeds: Sequence[int],
    scale: float,
    each: int,
    told: Callable[[float], object] = lambda share: None,
) -> Score:
    """The score of a scenario over seeds; `told` hears from 0 to 1 how much is done."""
    if not 0 < scale <= 1:
        raise BadSetting(f"scale {scale:g}: the share of the city's devices is over 0 and at most 1")
    verdicts, devices = {}, 0
    for place, seed in enumerate(seeds):

        def part(share: float, before: int = place) -> None:
            told((before + share) / len(seeds))

        run = play(
            scenario,
            city_dir=settings.city,
            seed=seed,
            scale=scale,
            each=each,
            timezone=settings.timezone,
            told=part,
        )
        verdicts[seed] = compare(run.faults, run.scene, run.firings, run.incidents)
        devices = len(run.scene.places)
    return Score.of(scenario.name, scenario.title, verdicts, devices=devices, lasts_us=scenario.lasts_us, kinds=kinds())


@contextmanager
def bar(name: str) -> Iterator[Callable[[float], object]]:
    """A progress bar on the error output, where that is a screen."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=1.0)
        yield lambda share: progress.update(task, completed=share)
