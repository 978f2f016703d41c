"""How well the rules detect, on every shipped scenario and on seeds that nobody tuned with; renews docs/detection.md.

`python -m benchmarks.score` plays all of them, as many at once as there are cores; named ones only:
`python -m benchmarks.score storm_night snow_day`.
"""

import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from hub.commands.score import scored
from hub.scoring.table import Score, lines
from hub.settings import Settings
from simulators.scenario import read_scenario

PAGE = Path("docs/detection.md")
SEEDS = (101, 102)
"""Not those of the scenarios, which `beffroi score` plays unless told otherwise and rules are tuned with."""
SCALE, EACH = 0.2, 10
SCENARIOS = (
    "clock_change_spring",
    "clock_change_autumn",
    "storm_night",
    "snow_day",
    "summer_works",
    "normal_week",
    "bad_radio_week",
)


def measure(name: str) -> tuple[Score, float]:
    """The score of a scenario, and the seconds that it took."""
    began = time.perf_counter()
    score = scored(Settings(), read_scenario(name), seeds=SEEDS, scale=SCALE, each=EACH)
    return score, time.perf_counter() - began


def renewed(page: str, score: Score) -> str:
    """The page with a scenario's section in place of the one that is there; ValueError when it has none."""
    before, old = page.split(f"\n## {score.scenario}\n")
    _, next_, after = old.partition("\n## ")
    return "".join((before, "\n", *(f"{line}\n" for line in lines(score)), next_, after))


def report(names: Iterable[str] = SCENARIOS) -> None:
    """Print what is short of the targets, and renew the page."""
    sys.stdout.write(f"\nDetection quality, seeds {', '.join(map(str, SEEDS))}; tables in {PAGE}\n")
    with ProcessPoolExecutor() as pool:
        for score, took_s in pool.map(measure, names):
            PAGE.write_text(renewed(PAGE.read_text("utf-8"), score), "utf-8")
            told = "; ".join(score.misses()) or "every target is met"
            sys.stdout.write(f"{score.scenario:20} {took_s:5.0f} s: {told}\n")


if __name__ == "__main__":
    report(sys.argv[1:] or SCENARIOS)
