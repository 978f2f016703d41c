"""The weather over a simulated city, hour by hour: chance by season, and the spells that a scenario orders. Pure.

Everything that feels the weather reads it here: stations measure it, buildings heat, meters freeze, works pause, snow
brings the winter service out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from simulators.hours import Floats, Hours, Times, drift
from simulators.night import HOUR_US

CM_OF_SNOW_PER_MM = 1.0
MELT_CM_H_PER_DEGREE = 0.2
RIVER_FORGETS_H = 20
RIVER_CM_PER_MM = 1.3


@dataclass(frozen=True, slots=True)
class SpellSort:
    """What a sort of weather is like while it lasts; what it does not tell stays as it was."""

    night_c: float | None = None
    day_c: float | None = None
    """Temperature by night and at the height of the day."""
    fall_mm: float | None = None
    """Rain, or snow when it freezes, in 15 min."""
    wind_kmh: float | None = None
    fog: float | None = None
    """0 clear to 1 dense."""


SPELLS: Mapping[str, SpellSort] = {
    "storm": SpellSort(fall_mm=4.5, wind_kmh=70, fog=0),
    "downpour": SpellSort(fall_mm=12),
    "rain": SpellSort(fall_mm=1.2, fog=0),
    "snow": SpellSort(night_c=-4, day_c=-1, fall_mm=0.5, wind_kmh=18, fog=0.2),
    "cold": SpellSort(night_c=-12, day_c=-5, fall_mm=0, wind_kmh=6),
    "heat": SpellSort(night_c=22, day_c=38, fall_mm=0, wind_kmh=5, fog=0),
    "fog": SpellSort(fall_mm=0, wind_kmh=2, fog=1),
    "calm": SpellSort(fall_mm=0, wind_kmh=8, fog=0),
}


@dataclass(frozen=True, slots=True)
class Spell:
    """Weather by order, from `start_us` to before `end_us`."""

    name: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """One weather for the city: columns by hour of its calendar."""

    hours: Hours
    sun: Floats
    """Height of the day, 0 to 1."""
    front: Floats
    """-1 to 1: the warm and clear side of a front is positive."""
    temp_c: Floats
    rh_pct: Floats
    rain_mm: Floats
    """In 15 min; what falls as snow is not in it."""
    snow_cm: Floats
    """Lying on the ground."""
    wind_kmh: Floats
    fog: Floats
    river_cm: Floats
    """Above its usual level, for the rain of the last days."""
    ground_c: Floats
    """Temperature of a meter's pit: the air's, late and damped."""

    @classmethod
    def of(cls, hours: Hours, seed: int, spells: Sequence[Spell] = ()) -> Self:
        """The weather of a calendar's hours."""
        at = hours.all_us()
        none = np.zeros(len(at), np.int64)
        winter, hour = hours.winter(at), hours.hour(at)
        sun = np.maximum(0, np.sin(np.pi * (hour - 6) / 14)) * (hour > 6) * (hour < 20)
        front = drift(seed + 1, none, at, 60)
        temp = 11 - 9 * winter + 6 * (sun - 0.4) * (1 - 0.4 * winter) + 4 * front
        fall = np.maximum(0, drift(seed + 2, none, at, 7) - 0.78) * 5
        wind = np.maximum(0.5, 12 + 8 * drift(seed + 3, none, at, 9))
        misty = np.clip(3 * drift(seed + 6, none, at, 20) - 1.2, 0, 1) * (winter > 0) * (wind < 12)
        fog = misty * np.interp(hour, (0, 3, 8, 11, 24), (0.2, 1, 1, 0, 0.2))
        for spell in spells:
            during = (spell.start_us < at + HOUR_US) & (at < spell.end_us)
            temp, fall, wind, fog = _overridden(SPELLS[spell.name], during, sun, temp, fall, wind, fog)
        rain = np.where(temp > 1, fall, 0.0)
        rh = np.clip(72 - 20 * (sun - 0.3) - 6 * front + 40 * np.minimum(fall, 0.4), 20, 99)
        return cls(
            hours=hours,
            sun=sun,
            front=front,
            temp_c=temp,
            rh_pct=np.maximum(rh, 98 * fog),
            rain_mm=rain,
            snow_cm=_lying(4 * (fall - rain) * CM_OF_SNOW_PER_MM, MELT_CM_H_PER_DEGREE * np.maximum(temp, 0)),
            wind_kmh=wind,
            fog=fog,
            river_cm=RIVER_CM_PER_MM * _smoothed(4 * rain, RIVER_FORGETS_H) * RIVER_FORGETS_H,
            ground_c=7 + 0.35 * _smoothed(temp, 30),
        )

    def at(self, column: Floats, at_us: Times) -> Floats:
        """One of the columns at some times, between the hours too."""
        row = self.hours.row(at_us)
        part = at_us % HOUR_US / HOUR_US
        value: Floats = column[row] * (1 - part) + column[np.minimum(row + 1, len(column) - 1)] * part
        return value


def _overridden(
    sort: SpellSort, during: np.ndarray, sun: Floats, temp: Floats, fall: Floats, wind: Floats, fog: Floats
) -> tuple[Floats, ...]:
    told_c = None if sort.night_c is None or sort.day_c is None else sort.night_c + (sort.day_c - sort.night_c) * sun
    pairs = ((told_c, temp), (sort.fall_mm, fall), (sort.wind_kmh, wind), (sort.fog, fog))
    return tuple(usual if told is None else np.where(during, told, usual) for told, usual in pairs)


def _lying(falls: Floats, melts: Floats) -> Floats:
    """What has fallen and not melted yet: a sum that never goes under nothing."""
    total = np.cumsum(falls - melts)
    lying: Floats = total - np.minimum.accumulate(np.minimum(total, 0))
    return lying


def _smoothed(values: Floats, forgets_h: int) -> Floats:
    """A mean that forgets."""
    weights = np.exp(-np.arange(5 * forgets_h) / forgets_h)
    padded = np.concatenate([np.full(len(weights), values[0]), values])
    mean: Floats = np.convolve(padded, weights / weights.sum())[len(weights) : len(padded)]
    return mean
