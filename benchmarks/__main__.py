"""`make bench`: every measure, printed."""

import os
import platform
import sys

from benchmarks import absence, city, end_to_end, score, stages

sys.stdout.write(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
stages.report()
end_to_end.report()
city.report()
absence.report()
score.report()
