"""Two processes share the tests: one computes, the other waits for servers, processes and browsers."""

from xdist.scheduler import LoadScopeScheduling

COMPUTING = ("tests/unit/", "tests/contract/")


class Halves(LoadScopeScheduling):
    """Each half is run by one process, in its order."""

    def _split_scope(self, nodeid: str) -> str:
        return "computes" if nodeid.startswith(COMPUTING) else "waits"
