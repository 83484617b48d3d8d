"""The audit trail: who did what, when and from where, as a chain of hashes.

The one promise: a row that was changed, removed or put in between is found by `verify`. (Cutting the newest rows off
leaves a valid chain: whoever needs to notice that keeps the hash that `verify` returns elsewhere.)
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from psycopg.types.json import Jsonb

from metaconsole.store.database import Connection
from metaconsole.store.sql import statements

_SQL: Final = statements("audit")
_FIRST: Final = bytes(32)
_TEXT: Final = 500  # characters kept of a text that came from outside


class AuditError(Exception):
    """The audit trail was tampered with."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that somebody did."""

    actor: str
    action: str
    object: str = ""
    address: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from where."""

    name: str
    address: str = ""

    def entry(self, action: str, thing: str, detail: Mapping[str, Any]) -> Entry:
        """Return what is appended when the actor has done it."""
        return Entry(self.name, action, thing, self.address, detail)


COMMAND: Final = Actor("command line")


def append(connection: Connection, entry: Entry) -> None:
    """Append to the trail; it is there when the transaction commits, and writers take turns until then."""
    connection.execute(_SQL["lock"])
    last = connection.execute(_SQL["last"]).fetchone()
    audit_id, before = (last[0] + 1, last[1]) if last else (1, _FIRST)
    clock = connection.execute(_SQL["clock"]).fetchone()
    assert clock is not None
    row = {
        "audit_id": audit_id,
        "at_ms": clock[0],
        "actor": _text(entry.actor),
        "address": _text(entry.address),
        "action": _text(entry.action),
        "object": _text(entry.object),
        "detail": dict(entry.detail),
    }
    values = {**row, "detail": Jsonb(row["detail"]), "hash": _chained(before, row)}
    connection.execute(_SQL["append"], values)


def verify(connection: Connection) -> tuple[int, str]:
    """Return how many rows the trail has and its last hash; raises AuditError that names the first wrong row."""
    before, expected = _FIRST, 0
    with connection.cursor(name="audit") as cursor:
        cursor.execute(_SQL["walk"])
        for audit_id, at_ms, actor, address, action, thing, detail, digest in cursor:
            expected += 1
            row = {
                "audit_id": audit_id,
                "at_ms": at_ms,
                "actor": actor,
                "address": address,
                "action": action,
                "object": thing,
                "detail": detail,
            }
            if audit_id != expected:
                raise AuditError(f"the audit trail has no row {expected}: it was removed")
            if _chained(before, row) != digest:
                raise AuditError(f"row {audit_id} of the audit trail is not what was written")
            before = digest
    return expected, before.hex()


def _text(value: str) -> str:
    return value.replace("\0", "")[:_TEXT]


def _chained(before: bytes, row: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(before + json.dumps(row, sort_keys=True, separators=(",", ":")).encode()).digest()
