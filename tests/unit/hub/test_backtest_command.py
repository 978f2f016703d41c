"""What `beffroi rules backtest` says when it is asked for what cannot be, and how it draws hours."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.backtest import Backtest, Hour, Side
from hub.commands import backtest
from hub.errors import BadSetting
from hub.settings import Settings

FIRST = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "changes", "kind", "said"),
    [
        ("nothing", [], None, "there is no rule 'nothing'"),
        ("meter_silent", [], None, "name one with --kind"),
        ("lamp_out", [], "water_meter", "there is no rule 'lamp_out'"),
        ("lamp_out", ["hold_s"], None, "is not threshold=value"),
        ("lamp_out", ["hold=1"], None, "lamp_out has no threshold 'hold'"),
    ],
)
def test_what_cannot_be_tried_is_refused(code, changes, kind, said):
    with pytest.raises(BadSetting, match=said):
        backtest.run(
            Settings(), code, FIRST, FIRST + timedelta(1), kind=kind, file=None, changes=changes, as_json=False
        )


def test_a_time_that_ends_before_it_begins_is_refused():
    with pytest.raises(BadSetting, match="--from must lie before --to"):
        backtest.run(Settings(), "lamp_out", FIRST, FIRST, kind=None, file=None, changes=(), as_json=False)


def test_a_line_for_each_day_and_a_bar_for_each_hour():
    side = Side({}, 5, 0, 0, 1, {3: 5}, 60.0, 60.0, 60.0, [])
    hours = [Hour(FIRST + timedelta(hours=hour), hour % 9, 8 if hour == 20 else 0) for hour in range(26)]
    until = FIRST + timedelta(hours=26)
    told = Backtest("k", "c", "t", FIRST, until, until, None, 1, 1, 0.1, side, side, None, hours, {})
    _, _, friday, saturday, last = backtest.picture(told)
    assert friday == "Fri 20 Nov  " + " " * 20 + "█   " + "       8" + "   ▁▂▃▄▅▆▇█ ▁▂▃▄▅▆▇█ ▁▂▃▄▅" + "      87"
    assert saturday.startswith("Sat 21 Nov") and saturday.endswith("      13")
    assert last == "began in each hour; a full bar is 8"
