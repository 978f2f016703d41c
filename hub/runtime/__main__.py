"""`python -m hub.runtime`: fetch what the tests need (servers and Chromium) and say where it is."""

import sys

from hub.errors import BeffroiError
from hub.runtime import chromium, debian
from hub.runtime.bundles import SERVERS
from hub.settings import Settings


def main() -> int:
    """Exit code 0 when everything is there; else one sentence and the error's code."""
    try:
        settings = Settings()
        debian.ensure(SERVERS, settings.runtime_dir)
        chromium.ensure(settings.runtime_dir)
    except BeffroiError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
