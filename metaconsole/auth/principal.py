"""Who is asking, and what they may do.

The one promise: rights come from roles, bindings and token scopes as they stand in the database at this request.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from metaconsole.store.scope import Scope

ROLES: Final[Mapping[str, frozenset[str]]] = {
    "viewer": frozenset({"read"}),
    "auditor": frozenset({"read", "audit"}),
    "operator": frozenset({"read", "write"}),
    "admin": frozenset({"read", "write", "admin", "audit"}),
}
TOKEN_SCOPES: Final[Mapping[str, frozenset[str]]] = {
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write"}),
    "admin": frozenset({"read", "write", "admin"}),
}
NOTHING: Final = Scope(frozenset())


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody, or a program, who proved who they are. csrf is empty for a token: no browser sends it by itself."""

    name: str
    scopes: Mapping[str, Scope]  # by right: where it holds
    csrf: str = ""
    locale: str = ""
    account_id: int | None = None
    token_id: int | None = None

    @property
    def scope(self) -> Scope:
        """The sites that may be read."""
        return self.scopes.get("read", NOTHING)

    @property
    def rights(self) -> frozenset[str]:
        """What is allowed on at least one site."""
        return frozenset(self.scopes)

    def may(self, right: str) -> bool:
        """Return whether the right is held on at least one site."""
        return right in self.scopes


def scopes_of_roles(bindings: Iterable[tuple[str, int | None]]) -> dict[str, Scope]:
    """Return where each right holds, given roles with a site's id, or None for all sites."""
    sites: dict[str, set[int] | None] = {}
    for role, site_id in bindings:
        for right in ROLES[role]:
            known = sites.setdefault(right, set())
            if site_id is None:
                sites[right] = None
            elif known is not None:
                known.add(site_id)
    return {right: Scope(None if held is None else frozenset(held)) for right, held in sites.items()}


def scopes_of_token(scope: str) -> dict[str, Scope]:
    """Return where each right of a token holds: on all sites."""
    return {right: Scope(None) for right in TOKEN_SCOPES[scope]}
