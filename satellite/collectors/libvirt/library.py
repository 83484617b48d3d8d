"""The libvirt library of this process: loaded when first needed, with its event loop in one daemon thread.

The one promise: the event loop is registered before the first connection is opened, once a process, as libvirt asks.
"""

import logging
import threading
from functools import cache
from typing import Any

from satellite.collector import SourceDeniedError, SourceError, SourceUnreachableError

log = logging.getLogger(__name__)

_loading = threading.Lock()


def library() -> Any:
    """Return the module libvirt, ready for events. Raises SourceError when it is not installed."""
    with _loading:
        return _load()


@cache
def _load() -> Any:
    try:
        import libvirt
    except ImportError as error:
        raise SourceError(
            f"the collector libvirt needs libvirt-python ({error}): install nephoscope[libvirt], which needs the"
            " Debian packages libvirt0, libvirt-dev, pkg-config, gcc and python3-dev"
        ) from error
    libvirt.registerErrorHandler(_silent, None)  # else libvirt writes each error to stderr as well
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run, args=(libvirt,), name="libvirt-events", daemon=True).start()
    return libvirt


def translated(error: Exception, uri: str, alive: bool) -> SourceError:
    """Return what a libvirtError means to the scheduler, in words; alive tells whether the connection still stands."""
    libvirt = library()
    code, errno = error.get_error_code(), error.get_int1()  # type: ignore[attr-defined]
    denied = {
        libvirt.VIR_ERR_AUTH_FAILED,
        libvirt.VIR_ERR_AUTH_CANCELLED,
        libvirt.VIR_ERR_AUTH_UNAVAILABLE,
        libvirt.VIR_ERR_OPERATION_DENIED,
        libvirt.VIR_ERR_ACCESS_DENIED,
    }
    if code in denied or (code == libvirt.VIR_ERR_SYSTEM_ERROR and errno in {1, 13}):
        return SourceDeniedError(f"libvirt at {uri} refuses: {error}; add the satellite's user to the group libvirt")
    if alive:
        return SourceError(f"libvirt at {uri} could not answer: {error}; its own log there says more")
    return SourceUnreachableError(f"libvirt at {uri} does not answer: {error}; is libvirtd running there?")


def unsupported(error: Exception) -> bool:
    """Whether a libvirtError says that the hypervisor's driver can't do this, now and later."""
    libvirt = library()
    known = {libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, libvirt.VIR_ERR_CONFIG_UNSUPPORTED}
    return error.get_error_code() in known  # type: ignore[attr-defined]


def _run(libvirt: Any) -> None:
    timer = libvirt.virEventAddTimeout(60_000, _tick, None)  # the loop ends when it watches nothing
    log.debug("libvirt's event loop runs, timer %s", timer)
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            log.exception("libvirt's event loop failed once; it goes on")


def _tick(timer: int, opaque: object) -> None:
    """Do nothing: the timer only keeps the loop alive."""


def _silent(context: object, error: object) -> None:
    """Do nothing: every error is raised as an exception too."""
