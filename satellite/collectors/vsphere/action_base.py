"""What an operation of vSphere is: what it takes, needs, refuses, would do, and how its end is known.

The one promise: until `begin` nothing is changed, and after it nothing is begun again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from satellite.collector import SourceError
from satellite.collectors.vsphere.library import clean, library
from satellite.collectors.vsphere.session import Session
from shared.model import Kind, ResourceKey

Find = Callable[[ResourceKey], str | None]  # a resource -> "VirtualMachine:vm-42"
_TYPES: Final = {Kind.GUEST: "VirtualMachine", Kind.HOST: "HostSystem", Kind.DATASTORE: "Datastore"}


class Arguments(BaseModel):
    """What every verb takes. timeout_seconds: how long its end is waited for."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    timeout_seconds: float = Field(default=300, ge=1, le=86_400)


class Operation(ABC):
    """A verb on one object; made for one action. Its methods block, for a thread of the source."""

    verb: ClassVar[str]
    kind: ClassVar[Kind] = Kind.GUEST
    Arguments: ClassVar[type[Arguments]] = Arguments
    paths: ClassVar[tuple[str, ...]]
    done: ClassVar[str]  # what is true in the end: "is started"

    def __init__(self, target: Any, arguments: Any, find: Find) -> None:
        """Take the managed object, checked arguments, and what finds others; nothing is asked yet."""
        self.target, self.arguments, self.find = target, arguments, find
        self.facts: Mapping[str, Any] = {}

    @property
    def name(self) -> str:
        """How the object is called."""
        return clean(str(self.facts.get("name") or self.target))

    def look(self, session: Session) -> None:
        """Read how the object is now. Raises SourceError."""
        self.facts = read(session, self.target, ("name", *self.paths))

    @abstractmethod
    def refusal(self) -> str:
        """Return why the object can't do this now, as the end of a sentence about it; empty where it can."""

    @abstractmethod
    def needs(self) -> Sequence[tuple[Any, str]]:
        """Return the privileges that the user must have, each with the object it is for."""

    @abstractmethod
    def intent(self) -> str:
        """Return what would happen, as the end of a sentence about the object."""

    def achieved(self) -> str:
        """Return what is true in the end, as the end of a sentence about the object."""
        return self.done

    @abstractmethod
    def begin(self) -> Any:
        """Do it; return the vendor's task, None where there is none and `settled` tells its end."""

    def settled(self, session: Session) -> bool:
        """Tell whether what was asked has happened. Raises SourceError."""
        raise SourceError(f"vSphere at {session.where} named no task for {self.verb}, and nothing else tells its end")


def read(session: Session, managed: Any, paths: Sequence[str]) -> Mapping[str, Any]:
    """Return some properties of an object; what is not there is left out. Raises SourceError."""
    query = library().vmodl.query.PropertyCollector
    with session.errors():
        wanted = query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=managed)],
            propSet=[query.PropertySpec(type=type(managed), pathSet=list(paths))],
        )
        answer = session.content.propertyCollector.RetrievePropertiesEx([wanted], query.RetrieveOptions())
        found = answer.objects if answer is not None else []
        return {change.name: change.val for each in found for change in each.propSet}


def managed(session: Session, reference: str) -> Any:
    """Return an object of the library for a reference ("VirtualMachine:vm-42")."""
    kind, _, identity = reference.partition(":")
    return getattr(library().vim, kind)(identity, session.stub)


def wanted(session: Session, find: Find, kind: Kind, key: str) -> Any:
    """Return the object that an argument names by the key of its resource; None where there is none."""
    reference = find(ResourceKey(kind, key))
    return managed(session, reference) if reference and reference.startswith(f"{_TYPES[kind]}:") else None
