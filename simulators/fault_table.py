"""Every fault that can be put into a simulated city: whom it befalls, what is seen of it, which rule should notice.

A fault is one row. If it only changes what its device says, the row is all: `sets` are the fields, `event` is said
when it begins and `ended` when it is over; `stream` changes the device's messages on their way. What else a fault does
is in the fleet's own file, under its name. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Stream = Literal["silent", "drift", "gap", "repeat", "garble"]
"""What becomes of a device's messages: dropped; told by a drifting clock; held and sent at once; twice; cut short."""


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of fault."""

    kind: str
    type: str
    code: str | None
    """Of the rule that should notice; None while none can see it."""
    cause: str
    """What happened, for the truth file."""
    why_unseen: str = ""
    """Why no rule notices."""
    sets: Mapping[str, object] = field(default_factory=dict)
    """Fields that the device tells wrongly, or rightly, while it lasts."""
    event: str | None = None
    ended: str | None = None
    stream: Stream | None = None
    at_once: bool = True
    """The device speaks when it begins and when it ends, and does not wait for its turn."""


LIGHT, WATER, ROADS = "street_lighting", "water_meter", "traffic_light"
FLEET, ENERGY, AIR, WORKS = "fleet_vehicle", "energy_meter", "environment_station", "road_works"

_COUNTER = "a counter that begins again is no fault: history counts on from its new beginning"
_LATE = "late data is no fault: it goes into history and calls nobody"

SORTS: Mapping[str, Sort] = {
    # Street lighting
    "lamp_out": Sort(LIGHT, "lamp", "lamp_out", "the LED driver died; the controller still speaks"),
    "lamp_weak": Sort(LIGHT, "lamp", "power_deviation", "a third of the LEDs died"),
    "dimming_stuck": Sort(LIGHT, "lamp", "dimming_not_followed", "the dimming wire is loose: it burns at 65 %"),
    "day_burner": Sort(LIGHT, "lamp", "lit_unasked", "the relay is welded: it burns by day too"),
    "cycling": Sort(LIGHT, "lamp", "lamp_cycling", "it goes on and off every four minutes"),
    "lamp_unreachable": Sort(LIGHT, "lamp", "lamp_silent", "its radio no longer reaches its gateway", at_once=False),
    "lamp_replaced": Sort(LIGHT, "lamp", None, "a new controller counts from nothing", _COUNTER, at_once=False),
    "feeder_trip": Sort(
        LIGHT,
        "feeder",
        "feeder_out",
        "the breaker tripped; its lamps have no supply",
        event="breaker_tripped",
        ended="breaker_closed",
    ),
    "cable_theft": Sort(
        LIGHT,
        "feeder",
        "feeder_partial_loss",
        "the cable was stolen from the middle on: the far half has no supply",
    ),
    "day_burner_feeder": Sort(LIGHT, "feeder", "feeder_lit_unasked", "the contactor is welded: lit by day"),
    "works_window": Sort(
        LIGHT,
        "feeder",
        None,
        "switched off for works on the cable",
        "planned: told by the feeder's contactor and its lamps' command",
    ),
    "supply_voltage": Sort(
        LIGHT, "feeder", "supply_voltage", "the transformer's tap is wrong", sets={"voltage_v": 262.0}
    ),
    "gateway_silent": Sort(LIGHT, "cabinet", "cabinet_silent", "the cabinet's modem is dead", at_once=False),
    "cabinet_open": Sort(
        LIGHT,
        "cabinet",
        "cabinet_door",
        "the door was forced",
        sets={"door_open": True},
        event="door_opened",
        ended="door_closed",
    ),
    "config_storm": Sort(
        LIGHT,
        "cabinet",
        None,
        "the gateway restarts again and again, and announces every device each time",
        "an announcement changes nothing where the device is known",
        at_once=False,
    ),
    # Water
    "leak": Sort(WATER, "meter", "leak", "10 L/h run day and night behind the meter", at_once=False),
    "burst": Sort(WATER, "meter", "burst", "a pipe burst behind the meter"),
    "backflow": Sort(WATER, "meter", "backflow", "a pump presses back into the network", sets={"backflow": True}),
    "tamper": Sort(WATER, "meter", "tamper", "a magnet is held to the meter", sets={"tamper": True}, event="tamper"),
    "meter_blocked": Sort(WATER, "meter", "meter_faulty", "sand blocks the turbine", sets={"blocked": True}),
    "meter_battery": Sort(
        WATER, "meter", "low_battery", "the battery is nearly empty", sets={"low_battery": True}, at_once=False
    ),
    "meter_unreachable": Sort(
        WATER, "meter", "meter_silent", "a car stands on the lid of its pit", stream="silent", at_once=False
    ),
    "counter_reset": Sort(WATER, "meter", None, "a new meter counts from nothing", _COUNTER, at_once=False),
    "main_burst": Sort(WATER, "zone", "zone_burst", "a main of the network burst"),
    "water_hammer": Sort(WATER, "zone", "zone_hammer", "a valve was shut in a hurry", sets={"hammer": True}),
    # Traffic lights
    "junction_dark": Sort(ROADS, "junction", "signals_dark", "the signals lost power; the controller speaks"),
    "conflict_flash": Sort(
        ROADS, "junction", "conflict_flash", "the controller fell back to yellow flash", event="flash_started"
    ),
    "night_flash": Sort(
        ROADS,
        "junction",
        None,
        "the timetable lets the junction flash",
        "planned: told by the controller",
        event="flash_started",
        ended="flash_ended",
    ),
    "signals_stuck": Sort(
        ROADS, "junction", "signals_stuck", "a detector's demand never ends", sets={"stage": 1, "stage_age_s": 900}
    ),
    "red_lamp_out": Sort(
        ROADS, "junction", "lamp_error_serious", "a red lamp is broken", sets={"lamp_error_serious": True}
    ),
    "controller_clock": Sort(
        ROADS, "junction", "clock_off", "the controller lost its time server", sets={"clock_offset_s": 7.5}
    ),
    "controller_silent": Sort(
        ROADS, "junction", "junction_silent", "the controller's line is cut", stream="silent", at_once=False
    ),
    "detector_stuck": Sort(
        ROADS, "detector", "detector_stuck", "the loop's wire is cut: always occupied", at_once=False
    ),
    # Vehicles
    "sos": Sort(FLEET, "vehicle", "sos", "the driver asks for help", sets={"sos": True, "on_duty": True}),
    "vehicle_towed": Sort(
        FLEET,
        "vehicle",
        "moved_without_ignition",
        "towed away without its key",
        sets={"ignition": False, "on_duty": True, "speed_kmh": 24.0},
    ),
    "vehicle_battery": Sort(FLEET, "vehicle", "battery_low", "the battery is old", sets={"battery_v": 11.2}),
    "tracker_jammed": Sort(FLEET, "vehicle", "tracker_cut", "a jammer in the cab", sets={"jammed": True}),
    "tracker_silent": Sort(
        FLEET, "vehicle", "tracker_silent", "the tracker's modem hangs", stream="silent", at_once=False
    ),
    "gps_gap": Sort(
        FLEET,
        "vehicle",
        None,
        "a tunnel: its fixes come afterwards, in no order",
        _LATE,
        stream="gap",
        at_once=False,
    ),
    "repeating": Sort(
        FLEET,
        "vehicle",
        None,
        "the tracker misses acknowledgements and says everything twice",
        "the second is recognised and left out",
        stream="repeat",
        at_once=False,
    ),
    # Energy
    "power_exceeded": Sort(ENERGY, "meter", "subscribed_power_exceeded", "heaters that nobody switched off"),
    "supply_cut": Sort(
        ENERGY,
        "meter",
        "supply_cut",
        "the street's transformer failed",
        sets={"supply_cut": True, "voltage_v": 0.0, "power_w": 0.0, "power_l1_w": 0.0, "power_l2_w": 0.0}
        | {"power_l3_w": 0.0, "apparent_va": 0.0},
        event="supply_cut",
        ended="supply_back",
    ),
    "cos_phi_low": Sort(ENERGY, "meter", "cos_phi_low", "the capacitors are dead", sets={"cos_phi": 0.81}),
    "energy_counter_reset": Sort(ENERGY, "meter", None, "a new meter counts from nothing", _COUNTER, at_once=False),
    "clock_drift": Sort(
        ENERGY,
        "meter",
        None,
        "its clock runs a minute an hour fast",
        "no rule looks at a device's clock; readings from far ahead are kept and flagged",
        stream="drift",
        at_once=False,
    ),
    # Environment
    "sensor_flatline": Sort(
        AIR, "station", "sensor_flat", "the sensors froze: the same values again and again", at_once=False
    ),
    "sensor_dead": Sort(AIR, "station", "sensor_error", "the fan of the station stands still"),
    "station_unreachable": Sort(
        AIR, "station", "station_silent", "its SIM card was blocked", stream="silent", at_once=False
    ),
    "malformed": Sort(
        AIR,
        "station",
        None,
        "new firmware cuts its messages short",
        "nothing can be read of it: the quarantine keeps each with its reason",
        stream="garble",
        at_once=False,
    ),
    # Road works
    "site_overrun": Sort(WORKS, "site", "site_overrun", "the works were not finished in time"),
    "works_by_night": Sort(
        WORKS,
        "site",
        "works_out_of_hours",
        "a gang makes up for lost time",
        sets={"active": True} | {"in_permitted_hours": False},
    ),
    "order_missing": Sort(WORKS, "site", "works_without_order", "nobody asked for an order", sets={"has_order": False}),
    "barrier_down": Sort(
        WORKS,
        "barrier",
        "barrier_down",
        "a lorry knocked the barrier over",
        event="barrier_fell",
        ended="barrier_raised",
    ),
    "barrier_moved": Sort(WORKS, "barrier", "barrier_moved", "somebody made room to park", sets={"moved_m": 60.0}),
    "temporary_light_out": Sort(WORKS, "temporary_light", "temporary_light_out", "the light's lamp is broken"),
    "works_light_battery": Sort(
        WORKS, "temporary_light", "temporary_light_battery", "nobody changed the battery", sets={"battery_pct": 11.0}
    ),
}

HARMLESS = frozenset(
    {
        "lamp_replaced",
        "works_window",
        "config_storm",
        "counter_reset",
        "energy_counter_reset",
        "night_flash",
        "gps_gap",
        "repeating",
    }
)
"""Planned, or no fault at all: who is called for one of these is called for nothing."""
