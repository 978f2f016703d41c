"""What waits to be published, and what is known of it."""

from simulators.packets import Acknowledged, Publish
from simulators.publisher import Outbox

ONE, TWO, THREE = (Publish(name, b"") for name in ("one", "two", "three"))


def test_what_was_under_way_is_sent_again_first_and_in_order() -> None:
    outbox = Outbox(under_way={8: ONE, 9: TWO})
    outbox.put([THREE])
    outbox.start_over()
    assert (list(outbox.waiting), outbox.under_way) == ([ONE, TWO, THREE], {})


def test_refusals_are_counted_and_the_first_is_named() -> None:
    outbox = Outbox(under_way={1: ONE, 2: TWO, 3: THREE})
    for told in (Acknowledged(2, "Not authorized"), Acknowledged(1, None), Acknowledged(3, "Quota exceeded")):
        outbox.acknowledge(told)
    outbox.acknowledge(Acknowledged(4, None))  # nobody knows it
    assert (outbox.published, outbox.refused, outbox.first_refusal) == (1, 2, "two: Not authorized")
    assert not len(outbox)
