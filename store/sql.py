"""Named statements from the .sql files of store/queries; reads files, talks to nobody."""

import re
from functools import cache
from pathlib import Path
from typing import LiteralString, cast

QUERIES = Path(__file__).parent / "queries"
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(file: str) -> dict[str, LiteralString]:
    """The statements of `store/queries/{file}.sql` by name; a statement follows its `-- name:` line."""
    parts = _NAME.split((QUERIES / f"{file}.sql").read_text(encoding="utf-8"))
    # They are files of ours, as literal as text in the code.
    return {name: cast(LiteralString, body.strip()) for name, body in zip(parts[1::2], parts[2::2], strict=True)}
