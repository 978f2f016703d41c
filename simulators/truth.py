"""The truth about the faults of a simulated city, to compare with what the hub found. Pure."""

from collections.abc import Sequence

import msgspec
import numpy as np

from hub.clock import to_datetime
from simulators.city import City
from simulators.fault_table import SORTS
from simulators.faults import NEVER_US, Fault


def truth_lines(faults: Sequence[Fault], city: City, since_us: int, until_us: int) -> bytes:
    """The truth about what began or ended after `since_us` and up to `until_us`, as JSON lines."""
    lines = []
    for fault in faults:
        for action, at in (("start", fault.start_us), ("end", fault.end_us)):
            if since_us < at <= until_us:
                lines.append((at, msgspec.json.encode(_truth(fault, action, at, city)) + b"\n"))
    return b"".join(line for _, line in sorted(lines, key=lambda line: line[0]))


def _truth(fault: Fault, action: str, at_us: int, city: City) -> dict[str, object]:
    sort = SORTS[fault.name]
    return {
        "at": to_datetime(at_us).isoformat(),
        "action": action,
        "fault": fault.name,
        "cause": sort.cause,
        "commune": fault.commune,
        "kind": fault.kind,
        "device": fault.device,
        "expected_code": sort.code,
        "why_unseen": sort.why_unseen or None,
        "start": to_datetime(fault.start_us).isoformat(),
        "end": None if fault.end_us >= NEVER_US else to_datetime(fault.end_us).isoformat(),
        "silenced": _silenced(fault, city),
    }


def _silenced(fault: Fault, city: City) -> list[str]:
    """Ids of the other devices that fall silent with it."""
    match fault.name:
        case "feeder_trip":
            return [city.lamps.id[row] for row in np.flatnonzero(city.lamp_feeder == fault.row)]
        case "cable_theft":
            return [city.lamps.id[row] for row in np.flatnonzero((city.lamp_feeder == fault.row) & city.lamp_is_far)]
        case "gateway_silent":
            own = city.feeder_cabinet == fault.row
            lamps = np.flatnonzero(own[city.lamp_feeder])
            return [city.feeders.id[row] for row in np.flatnonzero(own)] + [city.lamps.id[row] for row in lamps]
        case "controller_silent":
            detectors = np.flatnonzero(city.fixtures.detector_junction == fault.row)
            return [city.fixtures.detectors.id[row] for row in detectors]
    return []
