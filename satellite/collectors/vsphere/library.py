"""The vendor's library of this process, loaded when first needed, and what its errors mean.

The one promise: whatever a call to vSphere raises becomes a SourceError with a sentence.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, Final
from xml.parsers.expat import ExpatError

from satellite.collector import SourceDeniedError, SourceError, SourceUnreachableError

_TEXT: Final = 300


class SessionEndedError(SourceUnreachableError):
    """The server does not know our session any more: a new one begins everything anew."""


def library() -> Any:
    """Return the module pyVmomi. Raises SourceError when it is not installed."""
    try:
        import pyVmomi
    except ImportError as error:
        sentence = f"the collector vsphere needs pyvmomi ({error}): pip install 'nephoscope[vsphere]'"
        raise SourceError(sentence) from error
    return pyVmomi


@contextmanager
def errors(where: str) -> Iterator[None]:
    """Raise SourceError instead of what pyvmomi raises."""
    vim, vmodl = library().vim, library().vmodl
    try:
        yield
    except vim.fault.InvalidLogin as fault:
        raise SourceDeniedError(
            f"vSphere at {where} refuses user and password: correct `user` in satellite.toml or the password's file"
        ) from fault
    except vim.fault.NotAuthenticated as fault:  # it is a NoPermission, too
        raise SessionEndedError(f"vSphere at {where} has ended the session: it is opened anew") from fault
    except vim.fault.NoPermission as fault:
        missing = f"the privilege {fault.privilegeId}" if fault.privilegeId else "a privilege"
        raise SourceDeniedError(
            f"vSphere at {where} refuses: {missing} is missing on {named(fault.object)}; grant it to the user's role, "
            "with propagation"
        ) from fault
    except vmodl.MethodFault as fault:
        raise SourceError(f"vSphere at {where} could not answer: {fault_text(fault)}") from fault
    except ssl.SSLCertVerificationError as error:
        why = getattr(error, "verify_message", "") or error.args[-1]
        raise SourceUnreachableError(
            f"the certificate of {where} is not trusted ({why}): name its authority as `ca_file`, or the certificate "
            "itself as `fingerprint`"
        ) from error
    except TimeoutError as error:
        raise SourceUnreachableError(f"vSphere at {where} did not answer in time") from error
    except (OSError, HTTPException) as error:
        why = str(error) or type(error).__name__
        raise SourceUnreachableError(f"vSphere at {where} does not answer: {why}") from error
    except (ExpatError, ValueError, TypeError, KeyError, AttributeError, UnicodeError) as error:
        # What pyvmomi's parser raises for an answer that is cut, or is none of the vendor's types.
        raise SourceError(f"vSphere at {where} answered what can't be read: {str(error)[:_TEXT]}") from error


def fault_text(fault: Any) -> str:
    """Return what a fault says, in a line: its message where it has one, else what kind it is."""
    kind = type(fault).__name__.rpartition(".")[2]
    text = clean(getattr(fault, "msg", None) or "")
    return f"{kind}: {text}" if text else kind


def named(managed: Any) -> str:
    """Return a managed object as the vendor's tools name it: type and id."""
    if managed is None:
        return "an object"
    return f"{type(managed).__name__.rpartition('.')[2]} {clean(object_id(managed))}"


def object_id(managed: Any) -> str:
    """Return the vendor's id of a managed object ("vm-42"); the library has no public name for it."""
    return str(managed._moId)  # noqa: SLF001


def reference(managed: Any) -> str:
    """Return type and id of a managed object in one text: "VirtualMachine:vm-42"."""
    return f"{type(managed).__name__.rpartition('.')[2]}:{object_id(managed)}"


def clean(text: str, limit: int = _TEXT) -> str:
    """Return one printable line of at most so many characters."""
    line = text[:limit]
    return (line if line.isprintable() else "".join(c if c.isprintable() else " " for c in line)).strip()
