"""Named SQL statements from the .sql files of metaconsole/store/sql.

A file holds statements, each behind a line `-- name`. Only these files and the migrations hold SQL.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Final, LiteralString, cast

_NAME: Final = re.compile(r"^-- ([a-z][a-z0-9_]*)\n", re.MULTILINE)


@cache
def statements(name: str) -> dict[str, LiteralString]:
    """Return the statements of metaconsole/store/sql/NAME.sql by their names."""
    text = (files("metaconsole.store") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    if parts[0].strip():
        raise ValueError(f"{name}.sql begins with a statement that has no name")
    named = dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
    # What ships with the program is as constant as a literal in it.
    return cast("dict[str, LiteralString]", named)
