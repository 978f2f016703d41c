"""Panels of Grafana, built with its own SDK: a title, a query of SQL, and how the answer is drawn. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Literal

from grafana_foundation_sdk.builders import bargauge, stat, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog import builder as cogbuilder
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models

DATASOURCE_TYPE = "grafana-postgresql-datasource"
DATASOURCE_UID = "beffroi"
"""The data source that every panel asks: one of this uid per organisation, each with a role of its own."""
DATASOURCE = common.DataSourceRef(type_val=DATASOURCE_TYPE, uid=DATASOURCE_UID)
WIDTH = 24
"""Of a page, in Grafana's columns."""
RED, ORANGE, YELLOW, GREEN = "red", "orange", "yellow", "green"
PRIORITY_COLOURS = {"P1": RED, "P2": ORANGE, "P3": YELLOW}
BY_METRIC = "${__field.labels.metric}"
Draw = Literal["stat", "series", "bars", "bargauge", "table"]
AnyPanel = stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel


class Query(variants.Dataquery):
    """A query of Grafana's PostgreSQL data source, for which its SDK has no class."""

    def __init__(self, text: str, form: Literal["table", "time_series"], ref: str) -> None:
        self.text, self.form, self.ref = text, form, ref

    def to_json(self) -> dict[str, object]:
        return {
            "refId": self.ref,
            "datasource": DATASOURCE.to_json(),
            "editorMode": "code",
            "format": self.form,
            "rawQuery": True,
            "rawSql": self.text,
        }


class QueryBuilder(cogbuilder.Builder[variants.Dataquery]):
    """What the SDK's panels take in place of a query."""

    def __init__(self, query: Query) -> None:
        self.query = query

    def build(self) -> variants.Dataquery:
        return self.query


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel as we say it; `queries` are texts of SQL."""

    title: str
    draw: Draw
    queries: Sequence[str]
    width: int = 12
    height: int = 8
    unit: str = ""
    help: str = ""
    by_metric: bool = False
    """Is a series named by its column `metric`, in place of its column's title?"""
    by_priority: bool = False
    """Does it show P1, P2 and P3?"""
    steps: Sequence[tuple[float | None, str]] = ()
    """Colours from a value on, the first from None."""
    high: float | None = None
    """End of the axis, where there is one."""
    interval: str = "1m"
    """No finer than this, of what is drawn over time."""

    def build(self, number: int, place: models.GridPos) -> AnyPanel:
        """The SDK's panel, with its number and its place on the page."""
        panel = DRAWERS[self.draw](self)
        form: Literal["table", "time_series"] = "time_series" if self.draw in ("series", "bars") else "table"
        for text, ref in zip(self.queries, ascii_uppercase, strict=False):
            panel.with_target(QueryBuilder(Query(text, form, ref)))
        panel.id(number).title(self.title).datasource(DATASOURCE).grid_pos(place)
        if self.help:
            panel.description(self.help)
        if self.unit:
            panel.unit(self.unit)
        if self.by_metric:
            panel.display_name(BY_METRIC)
        if self.steps:
            steps = [models.Threshold(value=value, color=colour) for value, colour in self.steps]
            panel.thresholds(builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        for name, colour in PRIORITY_COLOURS.items() if self.by_priority else ():
            fixed = {"mode": "fixed", "fixedColor": colour}
            panel.override_by_name(name, [models.DynamicConfigValue(id_val="color", value=fixed)])
        return panel


def lay_out(panels: Iterable[Panel], top: int) -> list[tuple[Panel, models.GridPos]]:
    """Panels from left to right and down from a line of the page; the last of each line is widened to its end."""
    placed: list[tuple[Panel, models.GridPos]] = []
    left = height = 0
    for panel in panels:
        if left + panel.width > WIDTH:
            placed[-1][1].w += WIDTH - left
            left, height, top = 0, 0, top + height
        placed.append((panel, models.GridPos(x=left, y=top, w=panel.width, h=panel.height)))
        left, height = left + panel.width, max(height, panel.height)
    if placed:
        placed[-1][1].w += WIDTH - left
    return placed


def _stat(panel: Panel) -> stat.Panel:
    """The last value of each column, large."""
    last = common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    built = stat.Panel().reduce_options(last).graph_mode(common.BigValueGraphMode.NONE)
    return built.color_mode(common.BigValueColorMode.BACKGROUND if panel.steps else common.BigValueColorMode.VALUE)


def _series(panel: Panel) -> timeseries.Panel:
    built = (
        timeseries.Panel()
        .interval(panel.interval)
        .line_width(1)
        .fill_opacity(8)
        .show_points(common.VisibilityMode.AUTO)
    )
    if panel.high is not None:
        built.min(0).max(panel.high)
    return built.tooltip(_tooltip()).legend(_legend())


def _bars(panel: Panel) -> timeseries.Panel:
    built = timeseries.Panel().interval(panel.interval).draw_style(common.GraphDrawStyle.BARS).fill_opacity(70).min(0)
    stacked = common_builders.StackingConfig().mode(common.StackingMode.NORMAL)
    return built.stacking(stacked).tooltip(_tooltip()).legend(_legend())


def _bargauge(panel: Panel) -> bargauge.Panel:
    """One bar per row of the answer."""
    rows = common_builders.ReduceDataOptions().values(True)
    built = bargauge.Panel().reduce_options(rows).orientation(common.VizOrientation.HORIZONTAL).min(0)
    return built.display_mode(common.BarGaugeDisplayMode.BASIC)


def _table(panel: Panel) -> table.Panel:
    return table.Panel().filterable(True)


def _tooltip() -> common_builders.VizTooltipOptions:
    return common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)


def _legend() -> common_builders.VizLegendOptions:
    return (
        common_builders.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
    )


DRAWERS: Mapping[Draw, Callable[[Panel], AnyPanel]] = {
    "stat": _stat,
    "series": _series,
    "bars": _bars,
    "bargauge": _bargauge,
    "table": _table,
}
