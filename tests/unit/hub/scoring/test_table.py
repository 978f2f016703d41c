"""The score of a scenario: shares, delays, rates and targets."""

from collections import Counter

from benchmarks.score import PAGE, SCENARIOS, renewed
from devices.kind import kinds
from hub.scoring.match import HOUR_US, Verdict
from hub.scoring.table import WEEK_US, Score, lines
from simulators.scenario import known
from tests.unit.hub.scoring.test_match import FEEDER, LAMPS, METER, START, fault, incident


def score(*verdicts: Verdict, devices: int = 2000) -> Score:
    return Score.of("own", "A title", dict(enumerate(verdicts, 101)), devices=devices, lasts_us=WEEK_US, kinds=kinds())


def test_faults_are_counted_by_sort_with_their_delays_over_all_seeds() -> None:
    lamps = [fault("lamp_out", no) for no in LAMPS]
    first = Verdict([(lamps[0], START + HOUR_US), (lamps[1], None), (fault("burst", METER), START)], [], [], [])
    second = Verdict([(lamps[2], START + 3 * HOUR_US)], [], [], [])
    burst, lamp = score(first, second).found
    assert (burst.fault, burst.priority, burst.injected, burst.found) == ("burst", 1, 1, 1)
    assert (lamp.fault, lamp.injected, lamp.found, lamp.median_s, lamp.worst_s) == ("lamp_out", 3, 2, 7200, 10_800)


def test_false_alerts_are_told_per_1000_devices_and_week() -> None:
    alerts = [
        (incident(no, "lamp_out", START), during)
        for no, during in zip(LAMPS[:4], ("", "works_window") * 2, strict=True)
    ]
    found = score(Verdict([], [], alerts, []), Verdict([], [], alerts[:2], []))
    (alert,) = found.false
    assert (alert.count, alert.per_1000_weeks, found.false_per_1000_weeks) == (6, 1.5, 1.5)
    assert found.misses() == ["1.50 false alerts per 1,000 devices and week, not under 1"]


def test_every_target_that_is_missed_is_told() -> None:
    urgent = incident(FEEDER, "feeder_out", START)
    urgent.priority = 1
    missed = [(fault("burst", METER), None), (fault("lamp_out", LAMPS[0]), START)]
    assert score(Verdict(missed, [], [(urgent, "")], [])).misses() == [
        "0 % of the P1 faults were found, not all",
        "50 % of all faults were found, not 95 %",
        "1 false alerts of P1, not none",
    ]


def test_a_share_is_rounded_down() -> None:
    nearly = [(fault("burst", METER), START)] * 2999 + [(fault("burst", METER), None)]
    assert score(Verdict(nearly, [], [], [])).misses() == ["99.9 % of the P1 faults were found, not all"]


def test_nothing_injected_and_nothing_told_misses_nothing() -> None:
    found = score(Verdict([], [], [], []))
    assert found.misses() == [] and found.as_json()["share_found"] is None
    assert "Found: - of P1, - of all." in "\n".join(lines(found))


def test_what_tells_of_the_weather_is_told_by_the_way() -> None:
    rain = incident(METER, "heavy_rain", START)
    assert "does not judge: `heavy_rain` 2." in "\n".join(lines(score(Verdict([], [], [], [rain, rain]))))


def test_the_table_names_what_no_rule_can_see_and_why() -> None:
    theft = Verdict([], [(fault("cable_theft", FEEDER), Counter(supply_voltage=2))], [], [])
    assert "| `cable_theft` | 1 |" in "\n".join(lines(score(theft)))
    assert "`supply_voltage` 2" in "\n".join(lines(score(theft)))


def test_the_benchmark_renews_one_section_of_the_page_and_leaves_the_others() -> None:
    page = "# Head\n\nText\n\n## own\n\nold\n\n## ownership\n\nkept\n"
    again = renewed(page, score(Verdict([], [], [], [])))
    assert again.startswith("# Head\n\nText\n\n## own\n\nA title. 2,000 devices, 168 simulated hours")
    assert again.endswith("\n\n## ownership\n\nkept\n") and "old" not in again
    assert renewed(again, score(Verdict([], [], [], []))) == again


def test_the_page_has_a_section_for_every_scenario_of_the_benchmark() -> None:
    page = PAGE.read_text("utf-8")
    assert all(page.count(f"\n## {name}\n") == 1 for name in SCENARIOS)
    assert {scenario.name for scenario in known()} == {*SCENARIOS, "healthy"}
