"""`make bench`: every measure, printed."""

import os
import platform
import sys

from benchmarks import absence, backtest, city, end_to_end, prometheus, rules, score, stages

sys.stdout.write(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
stages.report()
rules.report()
prometheus.report()
end_to_end.report()
city.report()
absence.report()
backtest.report()
score.report()
