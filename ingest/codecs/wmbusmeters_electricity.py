"""What wmbusmeters' drivers call the quantities of an electricity meter, as fields of energy_meter. Pure.

Names are those of the drivers amiplus, abbb23, ebzwmbe, ehzp, eltako, em24, esyswm, gransystems, iem3000, ime, nemo,
nzr and omnipower. The unit is the end of a member's name: `total_energy_consumption_kwh`.
"""

from collections.abc import Iterable, Iterator, Mapping

from ingest.codecs.loose import number

POWER = {"kw": 1e3, "w": 1.0}
ENERGY = {"kwh": 1e3, "wh": 1.0, "mwh": 1e6}
APPARENT = {"kva": 1e3, "va": 1.0, "kw": 1e3}
REACTIVE = {"kvar": 1e3, "var": 1.0, "kw": 1e3}
"""Several drivers know powers of one unit only, and write kW for kVA and kvar."""
VOLTAGE, CURRENT, RATIO = {"v": 1.0}, {"a": 1.0}, {"": 1.0}
Units = Mapping[str, float]

DRAWN = (
    "current_power_consumption",
    "active_consumption",
    "active_power_overall",
    "three_phase_total_active_power",
    "active_positive_3phase",
    "power",
)
FED_IN = ("current_power_production", "active_negative_3phase")
PHASE = (
    "current_power_consumption_phase{}",
    "current_power_consumption_{}",
    "active_consumption_l{}",
    "active_power_l{}",
    "power_l{}",
)
PHASES, TARIFFS = range(1, 4), range(1, 9)

SIMPLE: Mapping[str, tuple[tuple[str, ...], Units]] = {
    **{f"power_l{n}_w": (tuple(name.format(n) for name in PHASE), POWER) for n in PHASES},
    "apparent_va": (("apparent_consumption", "three_phase_total_apparent_power"), APPARENT),
    "reactive_var": (
        ("reactive_consumption", "reactive_power_overall", "three_phase_total_reactive_power"),
        REACTIVE,
    ),
    "cos_phi": (("power_factor",), RATIO),
    "import_wh": (
        ("total_energy_consumption", "positive_total_active_energy", "total_active_positive_3phase", "total"),
        ENERGY,
    ),
    "export_wh": (("total_energy_production", "negative_total_active_energy"), ENERGY),
    "voltage_v": (("voltage_average_ln",), VOLTAGE),
    "current_a": (("current_average",), CURRENT),
}
"""The kind's fields by the several names that drivers give them; the first that is there counts."""

BY_TARIFF: Mapping[str, tuple[str, ...]] = {
    "import_wh": ("total_energy_consumption_tariff_{}", "total_energy_consumption_tariff{}"),
    "export_wh": ("total_energy_production_tariff_{}", "total_energy_production_tariff{}"),
}
"""Counters whose total is not always told: then it is the sum of the tariffs."""

BY_PHASE: Mapping[str, tuple[tuple[str, ...], Units]] = {
    "voltage_v": (("voltage_at_phase_{}", "voltage_l{}_n"), VOLTAGE),
    "current_a": (("current_at_phase_{}", "amperage_at_phase_{}", "current_l{}"), CURRENT),
}
"""What is told phase by phase: the field is the mean, which a lost phase pulls far out of its range. The phases
themselves are kept beside."""

Found = tuple[str, float]
"""The member that was read, and its value in the field's unit."""


def measured(telegram: Mapping[str, object]) -> tuple[dict[str, float | None], frozenset[str]]:
    """The kind's measured fields, and the members that became one; RefusedError when one is no number."""
    found: dict[str, float | None] = {}
    used: set[str] = set()
    for field, (names, units) in SIMPLE.items():
        if (one := _first(telegram, names, units)) is not None:
            used.add(one[0])
            found[field] = one[1]
    if "cos_phi" in found:
        found["cos_phi"] = _plain_power_factor(found["cos_phi"] or 0.0)
    for field, names in BY_TARIFF.items():
        if field not in found and (parts := list(_numbered(telegram, names, TARIFFS, ENERGY))):
            found[field] = round(sum(value for _, value in parts), 6)
    for field, (names, units) in BY_PHASE.items():
        if field not in found and (parts := list(_numbered(telegram, names, PHASES, units))):
            found[field] = round(sum(value for _, value in parts) / len(parts), 6)
    drawn, fed_in = _first(telegram, DRAWN, POWER), _first(telegram, FED_IN, POWER)
    if drawn or fed_in:
        found["power_w"] = round((drawn[1] if drawn else 0.0) - (fed_in[1] if fed_in else 0.0), 6)
        used.update(one[0] for one in (drawn, fed_in) if one)
    return found, frozenset(used)


def _first(telegram: Mapping[str, object], names: Iterable[str], units: Units) -> Found | None:
    """The first of several names that is told, in any of its units."""
    for name in names:
        for unit, scale in units.items():
            member = f"{name}_{unit}" if unit else name
            value = number(telegram, member)
            if value is not None:
                return member, round(value * scale, 6)
    return None


def _numbered(
    telegram: Mapping[str, object], names: Iterable[str], numbers: Iterable[int], units: Units
) -> Iterator[Found]:
    """What is told by phase or tariff, in their order."""
    for n in numbers:
        one = _first(telegram, [name.format(n) for name in names], units)
        if one is not None:
            yield one


def _plain_power_factor(told: float) -> float:
    """Schneider's iEM3000 code a leading current into the number: 1.03 is 0.97, leading (their manual: 4Q_FP_PF)."""
    if 1 < abs(told) <= 2:
        return round((2 - abs(told)) * (1 if told > 0 else -1), 6)
    return told
