"""The readiness report of the collector `vsphere`.

The one promise: each line that does not hold says what to do about it, and what does not work until then.
"""

import math
import ssl
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Final

from satellite.collector import Check, SourceDeniedError, SourceError
from satellite.collectors.vsphere.config import VsphereConfig
from satellite.collectors.vsphere.connection import Meter
from satellite.collectors.vsphere.library import clean, library
from satellite.collectors.vsphere.privileges import ACTING, READING
from satellite.collectors.vsphere.session import LONG_POLL, OLDEST, Refused, Session, numbers

_ENTITIES: Final = 256  # of which one call asks the statistics
_METRICS: Final = 256  # of objects with statistics by the history's interval, in one call
_WIDTH: Final = 12  # metrics of such an object, about
_ASIDE: Final = 2  # calls a minute besides: the clock, and what was left of a task


def readiness(config: VsphereConfig, session: Session | None, refused: Refused) -> Sequence[Check]:
    """Try everything that a cycle needs, by the session that is open, else by one of its own.

    Blocks; never raises SourceError.
    """
    try:
        library()
    except SourceError as error:
        return (Check("library", False, str(error)),)
    loaded = Check("library", True, f"pyvmomi {version('pyvmomi')}")
    if session is not None:
        return (loaded, *_opened(config, session))
    session = Session(config, Meter(), refused)
    try:
        session.open()
    except SourceError as error:
        return (loaded, *_closed(config, session, error))
    try:
        return (loaded, *_opened(config, session))
    finally:
        session.leave()


def _closed(config: VsphereConfig, session: Session, error: SourceError) -> Sequence[Check]:
    """Return how far a session came that could not be opened."""
    sentence = str(error)
    if isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return Check("connection", True, f"{session.where} listens"), Check("certificate", False, sentence)
    if session.content is None:
        return (Check("credentials" if isinstance(error, SourceDeniedError) else "connection", False, sentence),)
    answers = (_connection(session), _certificate(config))
    if isinstance(error, SourceDeniedError):
        return (*answers, Check("credentials", False, sentence))
    return (*answers, Check("version", False, sentence))


def _opened(config: VsphereConfig, session: Session) -> Sequence[Check]:
    return (
        _connection(session),
        _certificate(config),
        Check("credentials", True, f"{config.user} is logged in, with one session"),
        _version(session),
        *_tried("privileges", lambda: _privileges(session)),
        *_tried("objects", lambda: _objects(config, session)),
    )


def _tried(name: str, ask: Callable[[], Sequence[Check]]) -> Sequence[Check]:
    try:
        return ask()
    except SourceError as error:
        return (Check(name, False, str(error)),)


def _connection(session: Session) -> Check:
    return Check("connection", True, f"{session.where} answers: {clean(session.content.about.fullName or 'vSphere')}")


def _certificate(config: VsphereConfig) -> Check:
    if config.fingerprint is not None:
        return Check(
            "certificate", True, "it has the `fingerprint` of satellite.toml; name the new one when it changes"
        )
    by = f"the authority in {config.ca_file}" if config.ca_file else "an authority that this machine trusts"
    return Check("certificate", True, f"signed by {by}")


def _version(session: Session) -> Check:
    from pyVmomi.VmomiSupport import versionIdMap

    told = clean(session.content.about.apiVersion)
    newest = max(numbers(number) for name, number in versionIdMap.items() if name.startswith("vim.version."))
    known = ".".join(str(part) for part in newest)
    detail = f"API {told}; {'.'.join(str(part) for part in OLDEST)} to {known} are understood"
    if numbers(told) > newest:
        detail += f", a newer server as if it were {known}: upgrade pyvmomi for what is new in it"
    return Check("version", True, detail)


def _privileges(session: Session) -> Sequence[Check]:
    """Return a line for what reading needs, one for each of it that is missing, and a note on actions."""
    granted = _granted(session, [privilege.name for privilege in (*READING, *ACTING)])
    missing = [each for each in READING if each.name not in granted]
    lines = [
        Check(
            f"privilege {each.name}",
            False,
            f"missing on the root folder, and without it: {each.enables}; give the user the role Read-only there, with "
            "propagation to children",
        )
        for each in missing
    ]
    if not missing:
        names = " and ".join(each.name for each in READING)
        lines.append(Check("privileges", True, f"{names} on the root folder: all can be read"))
    return (*lines, _acting(granted))


def _acting(granted: set[str]) -> Check:
    """Return a note: actions are off unless a site allows them, and a role that may only read is what we ask for."""
    missing = [f"{each.name} (to {each.enables})" for each in ACTING if each.name not in granted]
    if not missing:
        return Check("actions", True, "the role allows all actions; they stay off until the metaconsole allows them")
    if len(missing) == len(ACTING):
        return Check("actions", True, "the role may only read, as recommended: every action would be refused")
    return Check("actions", True, f"these would be refused, as the role lacks their privilege: {', '.join(missing)}")


def _granted(session: Session, names: Sequence[str]) -> set[str]:
    with session.errors():
        content = session.content
        key = content.sessionManager.currentSession.key
        (root,) = content.authorizationManager.HasPrivilegeOnEntities([content.rootFolder], key, list(names))
        return {each.privId for each in root.privAvailability if each.isGranted}


def _objects(config: VsphereConfig, session: Session) -> Sequence[Check]:
    vim = library().vim
    quick = (vim.VirtualMachine, vim.HostSystem)
    slow = (vim.ClusterComputeResource, vim.Datastore, vim.ResourcePool)
    with session.errors():
        content = session.content
        seen = content.viewManager.CreateContainerView(content.rootFolder, [*quick, *slow], True)
        try:
            found = list(seen.view)
        finally:
            seen.DestroyView()
    guests, hosts = (_count(found, kind) for kind in quick)
    others = sum(_count(found, kind) for kind in slow)
    calls = calls_a_minute(config, guests + hosts, others)
    detail = f"{guests} guests on {hosts} hosts, {others} clusters, datastores and pools; about {calls} calls a minute"
    if not hosts:
        return (Check("objects", False, f"{detail}: the user sees no host; grant the role on the root folder"),)
    return (Check("objects", True, detail),)


def _count(found: Sequence[Any], kind: Any) -> int:
    return sum(isinstance(each, kind) for each in found)


def calls_a_minute(config: VsphereConfig, quick: int, slow: int) -> int:
    """Return how many calls are expected, for so many guests and hosts, and so many of what has a history."""
    realtime = math.ceil(quick / _ENTITIES) / config.interval
    history = math.ceil(slow / (_METRICS // _WIDTH)) / config.history_interval
    return math.ceil(60 * (realtime + history + 1 / LONG_POLL)) + _ASIDE
