"""Law 1 as one list: what the counts of a reader must add up to. Health, audit and tests all hold it. Pure."""

from collections.abc import Mapping, Sequence

from psycopg import sql

BECAME: Mapping[str, Sequence[str]] = {
    "messages": (
        "messages_decoded",
        "messages_quarantined",
        "messages_discarded",
        "messages_duplicate",
        "messages_over_quota",
    ),
    "readings": (
        "readings_stored",
        "readings_merged",
        "readings_duplicate",
        "readings_quarantined",
        "readings_discarded",
        "readings_withheld",
        "readings_over_quota",
    ),
}
"""What became of the messages that were read, and of the readings in them: columns of the table `reader`."""


def unaccounted(what: str) -> sql.Composed:
    """Of messages or readings, as SQL: how many came that became nothing; 0 or the hub has lost count."""
    parts = sql.SQL(" + ").join(map(sql.Identifier, BECAME[what]))
    return sql.SQL("{} - ({})").format(sql.Identifier(what), parts)
