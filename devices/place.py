"""How people are told where a device is. Pure."""

from collections.abc import Iterable


def said_once(parts: Iterable[str | None]) -> list[str]:
    """The parts of a place (device, parent, street, commune), without what an earlier part already says.

    A part may have pieces itself ("Cabinet A4, rue Monge"): when its first one was said, so was the rest.
    """
    said: list[str] = []
    for part in parts:
        pieces = part.split(", ") if part else []
        new = [piece for piece in pieces if not any(piece.casefold() in earlier.casefold() for earlier in said)]
        if new and new[0] == pieces[0]:
            said.append(", ".join(new))
    return said
