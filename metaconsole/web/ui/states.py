"""How states look: a colour, a shape and a word, always all three.

The one promise: a state that this program does not know looks unknown, never well.
"""

from dataclasses import dataclass
from typing import Final

from metaconsole.web.ui.language import N_, gettext

# From what is well to what is worst; off is what somebody meant to be off.
LOOKS: Final = ("ok", "off", "maintenance", "unknown", "warning", "critical")
SYMBOLS: Final = {"ok": "●", "off": "■", "maintenance": "◌", "unknown": "▨", "warning": "▲", "critical": "◆"}

_STATES: Final = {
    "running": ("ok", N_("running")),
    "up": ("ok", N_("up")),
    "ok": ("ok", N_("ok")),
    "seen": ("ok", N_("seen")),
    "stopped": ("off", N_("stopped")),
    "suspended": ("off", N_("suspended")),
    "revoked": ("off", N_("revoked")),
    "refused": ("critical", N_("refused")),
    "maintenance": ("maintenance", N_("maintenance")),
    "paused": ("maintenance", N_("paused")),
    "starting": ("maintenance", N_("starting")),
    "stopping": ("maintenance", N_("stopping")),
    "restarting": ("maintenance", N_("restarting")),
    "opening": ("maintenance", N_("connecting")),
    "unknown": ("unknown", N_("unknown")),
    "never": ("unknown", N_("never seen")),
    "degraded": ("warning", N_("degraded")),
    "warning": ("warning", N_("warning")),
    "crashed": ("critical", N_("crashed")),
    "error": ("critical", N_("error")),
    "down": ("critical", N_("down")),
    "failing": ("critical", N_("failing")),
    "critical": ("critical", N_("critical")),
    "info": ("off", N_("info")),
}


@dataclass(frozen=True, slots=True)
class Look:
    """What is drawn for a state; the word is in the reader's language."""

    name: str
    symbol: str
    word: str


def look(state: str) -> Look:
    """Return how a state, a severity or a health is shown."""
    name, word = _STATES.get(state, ("unknown", ""))
    return Look(name, SYMBOLS[name], gettext(word) if word else state)


def words() -> dict[str, str]:
    """Return the word for each state, in the reader's language."""
    return {state: gettext(word) for state, (_, word) in _STATES.items()}


def rank(state: str) -> int:
    """Return how bad a state is: 0 is well."""
    return LOOKS.index(look_name(state))


def look_name(state: str) -> str:
    """Return which of LOOKS a state has."""
    return _STATES.get(state, ("unknown", ""))[0]
