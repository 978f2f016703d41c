"""Dashboards of the declarations: complete, bilingual, the same each time, and a difference that a person can read."""

import json
import re

import pytest

from dashboard.grafana.boards import TAG, boards
from dashboard.grafana.panels import DATASOURCE_UID
from dashboard.grafana.push import difference
from devices.kind import kinds
from store.delegate_ddl import POSITION
from store.grafana import any_of, fill, labels, literals
from tests.grafana import check_board

MACROS = {"$__timeFilter", "$__timeGroup", "$__interval", "$__interval_ms"}


def panels(board):
    """Every panel of a dashboard, those of closed rows too."""
    return [one for panel in board["panels"] for one in (panel, *(panel.get("panels") or ()))]


def queries(board):
    return [target["rawSql"] for panel in panels(board) for target in panel.get("targets") or ()]


@pytest.fixture(scope="module", params=["fr", "en"])
def made(request):
    return boards(request.param, "Europe/Paris")


def test_there_is_one_for_the_city_one_for_incidents_and_one_per_kind(made):
    wanted = {"beffroi-overview", "beffroi-incidents", *(f"beffroi-kind-{n.replace('_', '-')}" for n in kinds())}
    assert set(made) == wanted
    for uid, board in made.items():
        assert board["uid"] == uid and TAG in board["tags"] and board["timezone"] == "Europe/Paris"
        assert board["templating"]["list"][0]["name"] == "commune"
        check_board(board)


def test_the_same_declarations_give_the_same_bytes(made):
    again = [boards(language, "Europe/Paris") for language in ("fr", "en")]
    assert json.dumps(made, sort_keys=True) in [json.dumps(one, sort_keys=True) for one in again]


def test_every_field_of_every_kind_is_shown_but_positions(made):
    for kind in kinds().values():
        text = "\n".join(queries(made[f"beffroi-kind-{kind.name.replace('_', '-')}"]))
        for field in kind.fields:
            is_shown = f'"{field.name}"' in text or f'"{field.name}__' in text
            assert is_shown == (field.name not in POSITION), field.name


def test_every_panel_speaks_the_language(made):
    other = boards("en" if "Open faults" not in str(made) else "fr", "Europe/Paris")
    same = {"Commune", "Incidents", "Maximum", "Type", "Messages"}
    for uid, board in made.items():
        pairs = zip(panels(board), panels(other[uid]), strict=True)
        equal = {one["title"] for one, two in pairs if one["title"] == two["title"]}
        declared = {f.label.fr for kind in kinds().values() for f in kind.fields if f.label.fr == f.label.en}
        assert equal <= same | declared


def test_every_panel_is_bounded_in_time_and_knows_only_grafana_s_macros(made):
    for board in made.values():
        for panel in panels(board):
            for target in panel.get("targets") or ():
                text = target["rawSql"]
                assert set(re.findall(r"\$__\w+", text)) <= MACROS
                assert (panel["type"] == "timeseries") == (target["format"] == "time_series")
                if panel["type"] == "timeseries":
                    assert "$__timeFilter" in text
                assert target["datasource"]["uid"] == DATASOURCE_UID
                assert "{" not in text.replace("${commune:sqlstring}", ""), "a blank was left"


def test_panels_do_not_cover_one_another_and_fill_their_lines(made):
    for board in made.values():
        cells = [
            (x, y)
            for panel in panels(board)
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(set(cells)) == len(cells)
        assert len(cells) == 24 * (1 + max(y for _, y in cells))


def test_counters_are_told_from_measures():
    counters = {kind.name: {f.name for f in kind.fields if f.is_counter} for kind in kinds().values()}
    assert counters["street_lighting"] == {"energy_wh"}
    assert counters["water_meter"] >= {"total_m3", "backflow_m3"}
    assert "odometer_m" in counters["fleet_vehicle"] and not POSITION & counters["fleet_vehicle"]


def test_fields_that_are_compared_are_on_one_graph(made):
    for kind in kinds().values():
        titles = [panel["title"] for panel in panels(made[f"beffroi-kind-{kind.name.replace('_', '-')}"])]
        by_name = {field.name: field for field in kind.fields}
        for graph in kind.panels:
            drawn = [n for n in graph.fields if by_name[n].storage != "flag" and not by_name[n].is_counter]
            assert not drawn or {graph.title.fr, graph.title.en} & set(titles)


def test_every_indicator_of_a_kind_is_drawn(made):
    for kind in kinds().values():
        titles = {panel["title"] for panel in panels(made[f"beffroi-kind-{kind.name.replace('_', '-')}"])}
        assert all({indicator.title.fr, indicator.title.en} & titles for indicator in kind.indicators)


def test_what_is_read_by_the_quarter_is_not_drawn_finer(made):
    for board in made.values():
        for panel in panels(board):
            if any("_area_15m" in target["rawSql"] for target in panel.get("targets") or ()):
                assert panel["interval"] == "15m"


def test_texts_of_declarations_cannot_break_a_query():
    texts = {("a'b", "c"): "l'eau; DROP TABLE device --"}
    assert labels(("i.kind", "i.code"), texts).as_string(None) == (
        """CASE WHEN ("i"."kind" = 'a''b' AND "i"."code" = 'c') THEN 'l''eau; DROP TABLE device --' """
        """ELSE "i"."code" END"""
    )
    assert literals([]).as_string(None) == "NULL"
    assert any_of(("kind", "code"), []).as_string(None) == "false"


def test_a_blank_that_nobody_fills_is_an_error():
    with pytest.raises(KeyError):
        fill("measure")


def test_a_difference_reads_as_panels_and_lines():
    known = {"title": "T", "panels": [{"title": "Lit", "targets": [{"refId": "A", "rawSql": "SELECT 1\nFROM lamp"}]}]}
    wanted = json.loads(json.dumps(known).replace("SELECT 1", "SELECT 2"))
    assert difference(known, known) == ""
    lines = difference(known, wanted).splitlines()
    assert lines[0].startswith("--- in Grafana") and lines[1].startswith("+++ declared")
    assert [line for line in lines if line[0] in "+-" and line[1] not in "+-"] == [
        "-panels[Lit].targets[A].rawSql: SELECT 1",
        "+panels[Lit].targets[A].rawSql: SELECT 2",
    ]
