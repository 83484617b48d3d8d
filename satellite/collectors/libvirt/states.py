"""libvirt's numbers for states, reasons and lifecycle events, in the words of the model.

The one promise: a number that is not known here is `unknown` in words, never an error.
"""

from collections.abc import Sequence
from typing import Final

from shared.model import Severity, State

# virDomainState
GUEST_STATES: Final = (
    State.UNKNOWN,
    State.RUNNING,
    State.RUNNING,  # blocked on a resource
    State.PAUSED,
    State.STOPPING,
    State.STOPPED,
    State.CRASHED,
    State.SUSPENDED,
)
# virDomain*Reason, by the state above
_REASONS: Final[Sequence[Sequence[str]]] = (
    (),
    (
        *("", "booted", "migrated", "restored", "from snapshot", "unpaused", "migration cancelled", "save cancelled"),
        *("woken up", "crashed", "post-copy migration", "post-copy migration failed"),
    ),
    (),
    (
        *("", "by user", "migration", "save", "dump", "I/O error", "watchdog", "from snapshot", "shutting down"),
        *("snapshot", "crashed", "starting up", "post-copy migration", "post-copy migration failed", "API error"),
    ),
    ("", "by user"),
    ("", "shut down", "destroyed", "crashed", "migrated", "saved", "failed", "from snapshot", "daemon"),
    ("", "panicked"),
    (),
)
# virDomainEventType: the type's last word, and virDomainEvent*DetailType
_EVENTS: Final[Sequence[tuple[str, Sequence[str]]]] = (
    ("defined", ("added", "updated", "renamed", "from snapshot")),
    ("undefined", ("removed", "renamed")),
    ("started", ("booted", "migrated", "restored", "from snapshot", "woken up")),
    (
        "suspended",
        (
            *("paused", "migrated", "I/O error", "watchdog", "restored", "from snapshot", "API error"),
            *("post-copy migration", "post-copy migration failed"),
        ),
    ),
    ("resumed", ("unpaused", "migrated", "from snapshot", "post-copy migration", "post-copy migration failed")),
    ("stopped", ("shut down", "destroyed", "crashed", "migrated", "saved", "failed", "from snapshot")),
    ("shutdown", ("finished", "by guest", "by host")),
    ("slept", ("to memory", "to disk")),
    ("crashed", ("panicked", "crash kernel loaded")),
)
_CRITICAL: Final = frozenset({"panicked", "crash kernel loaded", "crashed"})
_WARNING: Final = frozenset({"I/O error", "watchdog", "API error", "post-copy migration failed", "failed"})
# virStoragePoolState
POOL_STATES: Final = (State.STOPPED, State.STARTING, State.RUNNING, State.DEGRADED, State.ERROR)


def guest_state(number: int, reason: int) -> tuple[State, str]:
    """Return the state of a domain and the reason in words, empty where libvirt gives none."""
    if not 0 <= number < len(GUEST_STATES):
        return State.UNKNOWN, ""
    words = _REASONS[number]
    return GUEST_STATES[number], words[reason] if 0 <= reason < len(words) else ""


def pool_state(number: int) -> State:
    """Return the state of a storage pool."""
    return POOL_STATES[number] if 0 <= number < len(POOL_STATES) else State.UNKNOWN


def lifecycle(event: int, detail: int) -> tuple[str, str, Severity]:
    """Return the type of a lifecycle event, its detail in words and how much it matters."""
    word, details = _EVENTS[event] if 0 <= event < len(_EVENTS) else ("changed", ())
    why = details[detail] if 0 <= detail < len(details) else ""
    severity = Severity.CRITICAL if why in _CRITICAL else Severity.WARNING if why in _WARNING else Severity.INFO
    return f"guest.{word}", why, severity
