"""Grafana's dashboards, made of the declarations: an overview, the incidents, one per kind of device. Pure.

A contract has the same ones over its kinds, without what only the city may ask.

What they show over time is read from the figures of the communes by the quarter of an hour (store/rollup_ddl.py), so
that a day of a whole city is drawn at once; only the delay of arrival is asked of the readings themselves.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from math import isfinite

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dashboard.grafana.panels import DATASOURCE, GREEN, ORANGE, RED, WIDTH, Panel, lay_out
from dashboard.grafana.questions import Questions
from devices.kind import Field, Goal, Indicator, Kind, Text, kinds
from devices.kind import Panel as Graph
from store.grafana import fill, shown_fields

Board = dict[str, object]
"""A dashboard as Grafana's API and its provisioning take it."""
TAG = "beffroi"
GRAFANA_UNITS: Mapping[str, str] = {
    "%": "percent",
    "W": "watt",
    "V": "volt",
    "A": "amp",
    "Wh": "watth",
    "kWh": "kwatth",
    "h": "h",
    "s": "s",
    "°C": "celsius",
    "m": "lengthm",
    "m³": "m3",
    "l": "litre",
    "km/h": "velocitykmh",
    "dBm": "dBm",
    "°": "degree",
}
"""Grafana's names of our units; any other is written after the number."""
QUARTER = "15m"
"""Of the figures of communes: nothing is drawn finer."""
NONE_IS_GOOD = ((None, GREEN), (1.0, RED))
NONE_IS_BETTER = ((None, GREEN), (1.0, ORANGE))


def boards(
    language: str,
    timezone: str,
    contract: Collection[str] | None = None,
    rulebook: Mapping[str, Kind] | None = None,
) -> dict[str, Board]:
    """Every dashboard by its uid, in a language; the same input gives the same dashboards, byte for byte.

    `contract` names the kinds of a contract; None makes the city's dashboards. `rulebook` holds the kinds with the
    city's own rules, for their titles; without it those are shown by their codes.
    """
    known = kinds() if rulebook is None else rulebook
    shown = tuple(kind for kind in known.values() if contract is None or kind.name in contract)
    everything = Questions(shown, language, timezone, of_city=contract is None)
    made = [_overview(everything), _incidents(everything)]
    made += [_of_kind(replace(everything, kinds=(kind,)), kind) for kind in shown]
    return {str(board["uid"]): board for board in made}


def _overview(q: Questions) -> Board:
    say = q.say
    panels = [
        *_state_of_things(q),
        *(_indicator(q, kind, indicator) for kind in q.kinds for indicator in kind.indicators[:1]),
        Panel(
            say(Text("Défauts ouverts par domaine", "Open faults by kind")),
            "table",
            [q.ask("open_by_kind")],
            by_priority=True,
        ),
        _open_by_age(q),
        Panel(
            say(Text("Mesures par minute", "Readings per minute")),
            "series",
            [q.of_table("readings_per_minute", kind) for kind in q.kinds],
            by_metric=True,
            interval=QUARTER,
            help=say(
                Text(
                    "Une courbe qui tombe à zéro est une panne de réception, avant d'être une panne de la ville.",
                    "A line that falls to nothing is a fault of reception before it is one of the city.",
                )
            ),
        ),
        *([_quarantined(q)] if q.of_city else []),
        _open_list(q),
        *([_readers(q)] if q.of_city else []),
    ]
    return _board("beffroi-overview", say(Text("Beffroi : vue d'ensemble", "Beffroi: overview")), q, [("", panels)])


def _incidents(q: Questions) -> Board:
    say = q.say
    now = [*_state_of_things(q), _open_by_age(q), _bars(q, "open_by_commune", Text("Par commune", "By commune"))]
    span = [
        Panel(
            say(Text("Délai de prise en compte (médiane)", "Time to acknowledge (median)")),
            "stat",
            [q.ask("time_to_acknowledge")],
            6,
            8,
            "s",
        ),
        Panel(
            say(Text("Durée des défauts (médiane)", "Time to clear (median)")),
            "stat",
            [q.ask("time_to_clear")],
            6,
            8,
            "s",
        ),
        _opened(q),
        _bars(q, "opened_by_code", Text("Ouverts, par défaut", "Opened, by fault")),
        Panel(say(Text("Défauts qui reviennent", "Faults that come back")), "table", [q.ask("repeated")]),
    ]
    rows = [("", [*now, _open_list(q)]), (say(Text("Sur la période", "Over the period")), span)]
    return _board("beffroi-incidents", say(Text("Beffroi : incidents", "Beffroi: incidents")), q, rows)


def _of_kind(q: Questions, kind: Kind) -> Board:
    say = q.say
    top = [
        *_state_of_things(q),
        *(_indicator(q, kind, indicator) for indicator in kind.indicators),
        _bars(q, "open_by_code", Text("Ouverts, par défaut", "Open, by fault")),
        _open_by_age(q),
        Panel(
            say(Text("Mesures par minute", "Readings per minute")),
            "series",
            [q.of_table("readings_per_minute", kind)],
            by_metric=True,
            interval=QUARTER,
        ),
        Panel(
            say(Text("Retard d'arrivée", "Delay of arrival")),
            "series",
            [q.of_table("delay", kind)],
            unit="s",
            help=say(Text("Entre la mesure et sa réception.", "Between a reading and its reception.")),
        ),
        _open_list(q),
        Panel(say(Text("Équipements muets", "Silent devices")), "table", [q.ask("silent")], 16),
        Panel(say(Text("Parc", "Devices")), "bargauge", [q.ask("devices")], 8),
    ]
    measured = [field for field in shown_fields(kind) if field.storage != "flag"]
    counters = [field for field in measured if field.is_counter]
    flags = [field for field in kind.fields if field.storage == "flag"]
    rows = [
        ("", top),
        (
            say(Text("Consommation et compteurs, par heure", "Consumption and counters, by the hour")),
            [_counter(q, kind, field) for field in counters],
        ),
        (
            say(Text("Signalements des équipements", "What devices flag")),
            [
                Panel(
                    say(Text("Équipements par signalement", "Devices by flag")),
                    "series",
                    [q.of_flags(kind, flags)],
                    24,
                    interval=QUARTER,
                )
            ]
            if flags
            else [],
        ),
        (
            say(Text("Mesures", "Measurements")),
            _measurements(q, kind, [field for field in measured if field not in counters]),
        ),
    ]
    return _board(
        f"beffroi-kind-{kind.name}".replace("_", "-"),
        say(Text(f"Beffroi : {kind.label.fr}", f"Beffroi: {kind.label.en}")),
        q,
        rows,
    )


def _quarantined(q: Questions) -> Panel:
    return Panel(
        q.say(Text("Quarantaine, par raison", "Quarantine, by reason")),
        "bars",
        [q.ask("quarantined")],
        by_metric=True,
        help=q.say(Text("De toute la ville, sans choix de commune.", "Of the whole city, whatever the commune.")),
    )


def _readers(q: Questions) -> Panel:
    title = q.say(Text("Où en sont les lecteurs du journal", "How far the readers of the log are"))
    return Panel(title, "table", [q.ask("readers")], 24, 5)


def _state_of_things(q: Questions) -> list[Panel]:
    """What is open now, in one line of large figures."""
    say = q.say
    panels = [
        Panel(say(Text("Défauts ouverts", "Open faults")), "stat", [q.ask("open_by_priority")], 8, 4, by_priority=True),
        Panel(
            say(Text("À prendre en compte", "To acknowledge")),
            "stat",
            [q.ask("unacknowledged")],
            4,
            4,
            steps=NONE_IS_GOOD,
            help=say(Text("P1 et P2 nouveaux.", "New P1 and P2.")),
        ),
        Panel(
            say(Text("Équipements muets", "Silent devices")),
            "stat",
            [q.ask("silent_count")],
            4,
            4,
            steps=NONE_IS_BETTER,
            help=say(Text("Selon les règles de silence des domaines.", "As the kinds' rules of silence say.")),
        ),
        Panel(
            say(Text("Jamais entendus", "Never heard")),
            "stat",
            [q.ask("never_heard")],
            4,
            4,
            steps=NONE_IS_BETTER,
            help=say(Text("Au registre, et sans aucune mesure.", "In the registry, without one reading.")),
        ),
    ]
    if q.of_city:
        title = say(Text("À mettre en service", "To commission"))
        panels.append(Panel(title, "stat", [q.ask("to_commission")], 4, 4, steps=NONE_IS_BETTER))
    return panels


def _indicator(q: Questions, kind: Kind, indicator: Indicator) -> Panel:
    """A figure that the city watches over time, with the colour of its goal."""
    return Panel(
        q.say(indicator.title),
        "series",
        [q.of_indicator(kind, indicator)],
        unit=_unit(indicator.unit),
        steps=_steps(indicator.goal) if indicator.goal else (),
        high=100.0 if indicator.how == "share" else None,
        interval=QUARTER,
    )


def _open_by_age(q: Questions) -> Panel:
    return Panel(
        q.say(Text("Défauts ouverts par âge", "Open faults by age")), "table", [q.ask("open_by_age")], by_priority=True
    )


def _open_list(q: Questions) -> Panel:
    return Panel(q.say(Text("Incidents ouverts", "Open incidents")), "table", [q.ask("open_list")], 24, 10)


def _opened(q: Questions) -> Panel:
    return Panel(
        q.say(Text("Incidents ouverts", "Incidents opened")),
        "bars",
        [q.ask("opened")],
        by_metric=True,
        by_priority=True,
    )


def _bars(q: Questions, query: str, title: Text) -> Panel:
    return Panel(q.say(title), "bargauge", [q.ask(query)])


def _counter(q: Questions, kind: Kind, field: Field) -> Panel:
    """The increase of all counters by the hour; a counter that begins again counts from nothing."""
    return Panel(
        q.say(field.label),
        "bars",
        [q.of_field("increase", kind, field)],
        unit=_unit(field.unit),
        by_metric=True,
        help=q.say(
            Text(
                "Somme des hausses, à l'heure de la lecture qui les montre.",
                "Sum of the rises, at the hour of the reading that shows them.",
            )
        ),
    )


def _measurements(q: Questions, kind: Kind, measured: list[Field]) -> list[Panel]:
    """The graphs that the kind declares, then one for each field that is in none of them."""
    by_name = {field.name: field for field in measured}
    graphs = [(graph, [by_name[name] for name in graph.fields if name in by_name]) for graph in kind.panels]
    shown = {field.name for graph, fields in graphs for field in fields if not graph.nights}
    return [
        *(_nights(q, kind, graph, field) for graph, fields in graphs for field in fields if graph.nights),
        *(_graph(q, kind, graph, fields) for graph, fields in graphs if fields and not graph.nights),
        *(_measure(q, kind, field) for field in measured if field.name not in shown),
    ]


def _graph(q: Questions, kind: Kind, graph: Graph, fields: list[Field]) -> Panel:
    query = q.of_fields(kind, graph.type, fields)
    return Panel(q.say(graph.title), "series", [query], 12, unit=_unit(fields[0].unit), interval=QUARTER)


def _nights(q: Questions, kind: Kind, graph: Graph, field: Field) -> Panel:
    """The lowest hour of each night, one bar per commune."""
    query = q.of_field("nights", kind, field, type=graph.type)
    help_text = Text("L'heure la plus basse entre 1 h et 5 h, par commune.", "The lowest hour from 1 to 5, by commune.")
    return Panel(q.say(graph.title), "bars", [query], 24, unit=_unit(field.unit), by_metric=True, help=q.say(help_text))


def _measure(q: Questions, kind: Kind, field: Field) -> Panel:
    query = q.of_field("measure", kind, field)
    return Panel(q.say(field.label), "series", [query], 8, unit=_unit(field.unit), interval=QUARTER)


def _steps(goal: Goal) -> tuple[tuple[float | None, str], ...]:
    """Green where the goal is met."""
    at_low = ((None, ORANGE), (goal.low, GREEN)) if isfinite(goal.low) else ((None, GREEN),)
    return (*at_low, (goal.high, ORANGE)) if isfinite(goal.high) else at_low


def _unit(unit: str) -> str:
    """Grafana's name of a unit."""
    return GRAFANA_UNITS.get(unit, f"suffix: {unit}") if unit else ""


def _board(uid: str, title: str, q: Questions, rows: Iterable[tuple[str, list[Panel]]]) -> Board:
    """A dashboard of rows; the first has no title and the others are closed until somebody opens them."""
    board = (
        builders.Dashboard(title)
        .uid(uid)
        .tags([TAG])
        .timezone(q.timezone)
        .time("now-24h", "now")
        .refresh("5m")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(_communes(q))
        .link(_links(q))
    )
    number = top = 0
    for name, panels in rows:
        row = builders.Row(name).collapsed(True).grid_pos(models.GridPos(x=0, y=top, w=WIDTH, h=1))
        for panel, place in lay_out(panels, top + 1 if name else top):
            number += 1
            (row if name else board).with_panel(panel.build(number, place))
            top = max(top, place.y + place.h)
        if name and panels:
            number += 1
            board.with_row(row.id(number))
    plain: Board = json.loads(json.dumps(board.build(), cls=JSONEncoder, sort_keys=True))
    return plain


def _communes(q: Questions) -> builders.QueryVariable:
    """The choice of communes at the top; all of them at first."""
    return (
        builders.QueryVariable("commune")
        .label(q.say(Text("Commune", "Commune")))
        .datasource(DATASOURCE)
        .query(fill("communes"))
        .refresh(models.VariableRefresh.ON_DASHBOARD_LOAD)
        .multi(True)
        .include_all(True)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _links(q: Questions) -> builders.DashboardLink:
    return (
        builders.DashboardLink(q.say(Text("Tableaux Beffroi", "Beffroi's dashboards")))
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
    )
