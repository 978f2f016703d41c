"""How long is waited between attempts to reach a server."""

from itertools import islice

from hub.clock import pauses


def test_pauses_between_attempts_grow_to_four_seconds_and_are_never_all_alike():
    tried = [list(islice(pauses(), 6)) for _ in range(200)]
    for number, longest_s in enumerate([0.5, 1, 2, 4, 4, 4]):
        waits = [waited[number] for waited in tried]
        assert longest_s / 2 <= min(waits) < max(waits) <= longest_s
        assert len(set(waits)) > 100
