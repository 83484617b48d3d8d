"""JSON of the application.

The one promise: whatever a body holds, it is parsed or it is a bad request; depth is no way to make it fail here.
"""

from typing import Any

from flask.json.provider import DefaultJSONProvider


class Json(DefaultJSONProvider):
    """Flask's JSON, in the order in which answers are written."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse; raises ValueError for what is no JSON or is nested too deeply."""
        try:
            return super().loads(s, **kwargs)
        except RecursionError as error:
            raise ValueError("the document is nested too deeply") from error
