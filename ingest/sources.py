"""Where messages come from: the hub's own three sources and the city's. Pure."""

from collections.abc import Sequence

from hub.errors import BadSetting
from hub.settings import Source
from ingest.codecs.codec import Codec, codecs

BUILT_IN = (
    Source(name="city", codec="native", topics=("city/#",)),
    Source(name="hsl", codec="hfp", topics=("/hfp/v2/#",), commune="helsinki"),
    Source(name="wmbusmeters", codec="wmbusmeters", topics=("wmbusmeters/#",)),
)


def all_sources(own: Sequence[Source]) -> list[Source]:
    """The built-in sources and the settings'; one of the same name takes a built-in's place.

    BadSetting when a codec is unknown or a name stands twice.
    """
    names = [source.name for source in own]
    for source in own:
        if source.codec not in codecs():
            raise BadSetting(
                f"source {source.name}: no codec {source.codec}; BEFFROI_SOURCES takes {', '.join(sorted(codecs()))}"
            )
        if names.count(source.name) > 1:
            raise BadSetting(f"source {source.name} stands twice in BEFFROI_SOURCES")
    return [source for source in BUILT_IN if source.name not in names] + list(own)


def readers(sources: Sequence[Source]) -> dict[str, tuple[Codec, str]]:
    """Codec and commune by source name."""
    return {source.name: (codecs()[source.codec], source.commune) for source in sources}
