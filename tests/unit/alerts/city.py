"""A small city for the tests: cabinet 1 with feeders 2 and 3, lamps 21 to 23 on feeder 2, lamp 31 on feeder 3."""

from alerts.ledger import Ledger
from alerts.scene import Place, Scene
from devices.kind import kinds
from devices.transition import Action, Explanation, Quiet, Transition

MINUTE_US = 60_000_000
T0_US = 1_795_460_520_000_000  # 2026-11-23 19:02 UTC
PRIORITY = {"feeder_out": 1, "supply_voltage": 2, "cabinet_silent": 2, "cabinet_door": 1}


def place(
    device_no: int, type_: str, parent_no: int | None = None, gateway_no: int | None = None, *, known: bool = True
) -> Place:
    return Place(
        device_no=device_no,
        kind="street_lighting",
        type=type_,
        id=f"{type_}-{device_no}",
        commune="dijon",
        street="rue Monge",
        parent_no=parent_no,
        gateway_no=gateway_no,
        commissioned=known,
    )


PLACES = [
    place(1, "cabinet"),
    place(2, "feeder", 1, 1),
    place(3, "feeder", 1, 1),
    *(place(lamp, "lamp", 2, 1) for lamp in (21, 22, 23)),
    place(31, "lamp", 3, 1),
    place(99, "lamp", 2, 1, known=False),
]


def scene() -> Scene:
    return Scene({p.device_no: p for p in PLACES}, kinds())


def ledger(notify_priority: int = 2) -> Ledger:
    return Ledger(scene(), notify_priority)


def said(action: Action, device_no: int, code: str = "lamp_out", *, minute: float = 0, quiet: Quiet = "") -> Transition:
    """What the rules say of a device, some minutes after T0."""
    ts_us = T0_US + int(minute * MINUTE_US)
    explanation = Explanation({"dim_pct": 100.0, "power_w": 0.5}, {"min_ratio": 0.15}, 600)
    return Transition(
        "street_lighting", code, device_no, action, ts_us, ts_us + 1_000_000, PRIORITY.get(code, 3), quiet, explanation
    )


def fire(device_no: int, code: str = "lamp_out", *, minute: float = 0, quiet: Quiet = "") -> Transition:
    return said("fire", device_no, code, minute=minute, quiet=quiet)


def clear(device_no: int, code: str = "lamp_out", *, minute: float = 0, quiet: Quiet = "") -> Transition:
    return said("clear", device_no, code, minute=minute, quiet=quiet)
