"""`python -m hub.runtime`: fetch what the tests need (servers and Chromium) and say which is used."""

import sys

from hub.cli import read_settings
from hub.errors import BeffroiError
from hub.runtime import programs
from hub.runtime.progress import console


def main() -> int:
    """Exit code 0 when everything is there; else one sentence and the error's code."""
    try:
        settings = read_settings()
        for chosen in (*programs.needed(settings), programs.chromium(settings)):
            console.print(chosen.told, markup=False)
    except BeffroiError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
