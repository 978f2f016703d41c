"""Devices that nobody declared are taken in up to a limit; what the others say is kept out of the tables. Pure."""

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, replace

import numpy as np

from devices.readings import Announced, Decoded, Excess, Happened, Key, Readings, Rejected

REASON = "too_many_strangers"
DETAIL = "so many devices wait to be commissioned that {} is not taken in: commission or forget some"


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A stretch of the log without the strangers that are too many, and what they said."""

    decoded: Decoded
    rejected: list[Rejected]
    excess: Excess


def turn_away(decoded: Decoded, refused: Set[Key]) -> TurnedAway:
    """Take what some devices said out of a stretch. Each part of a message counts as one reading, also an event."""
    if not refused:
        return TurnedAway(decoded, [], Counter())
    places: dict[tuple[int, int], Key] = {}
    readings = [_without(rows, refused, places) for rows in decoded.readings]
    as_readings = len(places)
    withheld: dict[tuple[int, int], Key] = {}
    for rows in decoded.withheld:
        _without(rows, refused, withheld)
    beside: list[Happened | Announced] = [*decoded.events, *decoded.announcements]
    for told in beside:
        place = (told.offset, told.part)
        if told.key in refused and place not in withheld:
            places.setdefault(place, told.key)
    rejected = [decoded.refuse(*place, REASON, DETAIL.format("/".join(key))) for place, key in places.items()]
    counts = Counter(decoded.counts)
    counts["readings"] += len(places) - as_readings
    counts["readings_quarantined"] += len(rejected)
    kept = replace(
        decoded,
        readings=[rows for rows in readings if len(rows)],
        events=[event for event in decoded.events if event.key not in refused],
        announcements=[told for told in decoded.announcements if told.key not in refused],
        counts=counts,
    )
    excess = Counter((one.source, REASON, key[1]) for one, key in zip(rejected, places.values(), strict=True))
    return TurnedAway(kept, rejected, excess)


def _without(readings: Readings, refused: Set[Key], places: dict[tuple[int, int], Key]) -> Readings:
    """The rows of the others; those of the refused are added to `places`."""
    kept = np.ones(len(readings), bool)
    for row, key in readings.strangers.items():
        if key in refused:
            kept[row] = False
            places[int(readings.offset[row]), int(readings.part[row])] = key
    return readings.where(kept)
