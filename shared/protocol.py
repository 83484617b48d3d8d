"""Which protocol versions work together: the one rule of both ends of the uplink.

The one promise: what can't work is refused with a sentence that names the end to upgrade.
"""

from typing import Final, Literal, TypeAlias

Version: TypeAlias = tuple[int, int]  # major, minor
Skew: TypeAlias = Literal["same", "behind", "ahead", "too_old", "too_new"]

# docs/decisions/0011-protocol-versions.md says when it goes up: 1.0 is that of 0.1, 1.1 that of 0.2.
PROTOCOL: Final[Version] = (1, 1)


def skew(satellite: Version, metaconsole: Version = PROTOCOL) -> Skew:
    """Return how a satellite's protocol stands to the metaconsole's; one minor version apart, they work together."""
    if satellite == metaconsole:
        return "same"
    if satellite[0] != metaconsole[0] or abs(satellite[1] - metaconsole[1]) > 1:
        return "too_old" if satellite < metaconsole else "too_new"
    return "behind" if satellite < metaconsole else "ahead"


def why_refused(satellite: Version, metaconsole: Version) -> str | None:
    """Return why the two can't work together and what to upgrade, None where they can."""
    older = {"too_old": "satellite", "too_new": "metaconsole"}.get(skew(satellite, metaconsole))
    if older is None:
        return None
    return (
        f"the satellite speaks protocol {satellite[0]}.{satellite[1]}, the metaconsole {metaconsole[0]}."
        f"{metaconsole[1]}, and one minor version apart is the most that works: upgrade the {older}"
    )
