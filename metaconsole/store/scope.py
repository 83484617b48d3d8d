"""Which sites a person or a program may see: every read of the store and of the API takes one.

The one promise: a statement that is given `scope.parameter` returns nothing of a site outside the scope.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Scope:
    """A set of sites; None stands for all, those of tomorrow included."""

    sites: frozenset[int] | None

    @property
    def parameter(self) -> list[int] | None:
        """The value for SQL: `%(sites)s::bigint[] IS NULL OR site_id = ANY(%(sites)s)`."""
        return None if self.sites is None else sorted(self.sites)

    def allows(self, site_id: int) -> bool:
        """Return whether the site lies within the scope."""
        return self.sites is None or site_id in self.sites


EVERYTHING: Final = Scope(None)
