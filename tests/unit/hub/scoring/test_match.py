"""What counts as found, and what as a false alert."""

from collections import Counter

import pytest

from alerts.scene import Incident, Place, Scene
from devices.kind import kinds
from hub.scoring.match import GRACE_US, HOUR_US, Firing, Injected, compare
from simulators.faults import NEVER_US, Fault

CABINET, FEEDER, LAMPS, METER, JUNCTION, STATION = 1, 2, range(3, 11), 11, 12, 13
LIGHT = "street_lighting"
PLACES = {
    CABINET: Place(CABINET, LIGHT, "cabinet", "A", "dijon"),
    FEEDER: Place(FEEDER, LIGHT, "feeder", "F", "dijon", parent_no=CABINET, gateway_no=CABINET),
    **{no: Place(no, LIGHT, "lamp", f"L{no}", "dijon", parent_no=FEEDER, gateway_no=CABINET) for no in LAMPS},
    METER: Place(METER, "water_meter", "meter", "W", "dijon"),
    JUNCTION: Place(JUNCTION, "traffic_light", "junction", "J", "dijon"),
    STATION: Place(STATION, "environment_station", "station", "S", "dijon"),
}
SCENE = Scene(PLACES, kinds())
START = 100 * HOUR_US
END = START + 4 * HOUR_US


def fault(name: str, device_no: int, start_us: int = START, end_us: int = END) -> Injected:
    place = PLACES[device_no]
    return Injected(Fault(name, place.kind, 0, place.id, "dijon", start_us, end_us), device_no, start_us)


def incident(device_no: int, code: str, at_us: int, closed_us: int | None = None) -> Incident:
    return Incident(
        device_no,
        code,
        PLACES[device_no].kind,
        3,
        opened_us=at_us,
        detected_us=at_us,
        explanation="",
        closed_us=closed_us,
    )


def fired(device_no: int, code: str, at_us: int) -> Firing:
    return Firing(device_no, code, at_us)


def found(one: Injected, *firings: Firing, standing: tuple[Incident, ...] = ()) -> int | None:
    ((_, at_us),) = compare([one], SCENE, firings, standing).found
    return at_us


def false(injected: list[Injected], *incidents: Incident) -> list[tuple[int, str, str]]:
    verdict = compare(injected, SCENE, [], incidents)
    return [(alert.cause_no, alert.code, during) for alert, during in verdict.false]


@pytest.mark.parametrize(
    ("at_us", "is_found"),
    [
        (START - 1, False),
        (START, True),
        (END + GRACE_US, True),
        (END + GRACE_US + 1, False),
    ],
)
def test_a_fault_is_found_by_its_own_rule_in_its_time(at_us: int, is_found: bool) -> None:
    assert found(fault("lamp_out", LAMPS[0]), fired(LAMPS[0], "lamp_out", at_us)) == (at_us if is_found else None)


def test_the_first_firing_counts() -> None:
    times = (START + 3, START - 9, START + 2)
    assert found(fault("lamp_out", LAMPS[0]), *(fired(LAMPS[0], "lamp_out", at) for at in times)) == START + 2


def test_another_rule_or_another_device_does_not_find_it() -> None:
    others = fired(LAMPS[0], "power_deviation", START), fired(LAMPS[1], "lamp_out", START)
    assert found(fault("lamp_out", LAMPS[0]), *others) is None


def test_a_fault_is_found_by_a_cause_that_explains_it() -> None:
    one = fault("lamp_unreachable", LAMPS[0])
    assert found(one, standing=(incident(CABINET, "cabinet_silent", START + 5),)) == START + 5
    assert found(one, standing=(incident(CABINET, "cabinet_silent", START - 5),)) == START, "it stood already"
    assert found(one, standing=(incident(CABINET, "cabinet_silent", START - 5, START - 1),)) is None
    assert found(one, standing=(incident(CABINET, "cabinet_door", START + 5),)) is None


def test_a_meter_that_is_heard_late_is_found_late() -> None:
    burst = fault("burst", METER)
    assert found(burst, fired(METER, "burst", END + 39 * HOUR_US)) is not None
    assert found(burst, fired(METER, "burst", END + 41 * HOUR_US)) is None


def test_a_fault_that_nobody_repairs_may_be_found_at_any_time() -> None:
    assert found(fault("leak", METER, end_us=NEVER_US), fired(METER, "leak", START + 900 * HOUR_US)) is not None


def test_an_incident_without_a_fault_is_false() -> None:
    assert false([], incident(JUNCTION, "signals_dark", START)) == [(JUNCTION, "signals_dark", "")]
    before = incident(LAMPS[0], "lamp_out", START - 1)
    after = incident(LAMPS[0], "lamp_out", END + GRACE_US + 1)
    assert len(false([fault("lamp_out", LAMPS[0])], before, after)) == 2


def test_what_hangs_from_a_fault_is_its_effect_and_not_the_reverse() -> None:
    assert false([fault("feeder_trip", FEEDER)], incident(LAMPS[0], "lamp_silent", START)) == []
    assert false([fault("gateway_silent", CABINET)], incident(LAMPS[0], "lamp_silent", END)) == []
    assert len(false([fault("lamp_out", LAMPS[0])], incident(FEEDER, "feeder_out", START))) == 1


def test_half_of_the_children_of_a_type_are_enough() -> None:
    places = {1: Place(1, "road_works", "site", "T", "dijon")} | {
        no: Place(no, "road_works", type_, f"B{no}", "dijon", parent_no=1)
        for no, type_ in enumerate(["barrier"] * 4 + ["temporary_light"] * 2, 2)
    }
    down = [Injected(Fault("barrier_down", "road_works", 0, f"B{no}", "dijon", START, END), no, START) for no in (2, 3)]
    unguarded = Incident(1, "site_unguarded", "road_works", 1, opened_us=START, detected_us=START, explanation="")
    scene = Scene(places, kinds())
    assert compare(down, scene, [], [unguarded]).false == []
    assert compare(down[:1], scene, [], [unguarded]).false == [(unguarded, "")]


def test_a_fault_behind_a_feeder_that_is_switched_off_does_not_count() -> None:
    works, lamp = fault("works_window", FEEDER, START - 1, NEVER_US), fault("lamp_out", LAMPS[0])
    assert compare([works, lamp], SCENE, [], []).found == []
    early = fault("lamp_out", LAMPS[1], START - 2)
    assert compare([works, early], SCENE, [], []).found == [(early, None)]


def test_what_tells_of_the_weather_is_counted_apart() -> None:
    places = {1: Place(1, "environment_station", "station", "S", "dijon")}
    ice = Incident(1, "ice_risk", "environment_station", 2, opened_us=START, detected_us=START, explanation="")
    verdict = compare([], Scene(places, kinds()), [], [ice])
    assert (verdict.false, verdict.world) == ([], [ice])


def test_several_children_at_fault_are_a_fault_of_their_parent() -> None:
    lamps = [fault("lamp_out", no) for no in LAMPS]
    assert len(false(lamps[:2], incident(FEEDER, "feeder_out", START))) == 1
    assert false(lamps[:3], incident(FEEDER, "feeder_out", START)) == []


def test_who_is_called_for_planned_works_is_called_for_nothing() -> None:
    works = fault("works_window", FEEDER)
    assert false([works], incident(LAMPS[0], "lamp_out", START)) == [(LAMPS[0], "lamp_out", "works_window")]


def test_a_fault_that_no_rule_can_see_tells_what_was_opened_all_the_same() -> None:
    unreadable = fault("malformed", STATION)
    verdict = compare([unreadable], SCENE, [], [incident(STATION, "station_silent", START)])
    assert verdict.found == [] and verdict.false == []
    assert verdict.unseen == [(unreadable, Counter({"station_silent": 1}))]
