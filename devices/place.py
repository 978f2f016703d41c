"""How people are told where a device is. Pure."""

from collections.abc import Iterable


def said_once(parts: Iterable[str | None]) -> list[str]:
    """The parts of a place (device, parent, street, commune), without those that an earlier part already says."""
    said: list[str] = []
    for part in parts:
        if part and not any(part.casefold() in earlier.casefold() for earlier in said):
            said.append(part)
    return said
