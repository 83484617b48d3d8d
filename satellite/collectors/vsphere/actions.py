"""What may be done at a server, by verbs that all platforms share: checked, allowed, begun once, followed to its end.

The one promise: an action is begun once per id, however often it is sent; a dry run changes nothing; and an end that
was not seen is told as such, with the name under which it goes on.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context as Variables
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from satellite.collector import Context, Progress, SourceError, SourceUnreachableError
from satellite.collectors.vsphere import action_maintenance, action_migrate, action_power, action_snapshot
from satellite.collectors.vsphere.action_base import Find, Operation, managed, read
from satellite.collectors.vsphere.library import fault_text, library, named, reference
from satellite.collectors.vsphere.session import Session
from shared.model import Action, ActionResult

_OPERATIONS: Final[Sequence[type[Operation]]] = (
    action_power.Start,
    action_power.Stop,
    action_power.Shutdown,
    action_power.Reset,
    action_power.Suspend,
    action_snapshot.Create,
    action_snapshot.Revert,
    action_snapshot.Delete,
    action_migrate.Migrate,
    action_maintenance.Enter,
    action_maintenance.Exit,
)
VERBS: Final[Mapping[str, type[Operation]]] = {operation.verb: operation for operation in _OPERATIONS}
_REMEMBERED: Final = 200  # actions whose result is told again instead of acting again
_LOOK_FIRST: Final = 0.2  # seconds to the first look at a task; each next takes half as long again
_LOOK_LAST: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Task:
    """How a task is: what the server says of it, in words of no library."""

    ended: bool
    error: str
    share: float


class Actions:
    """The actions of one source, over all its sessions. Belongs to the event loop."""

    def __init__(self, context: Context, session: Callable[[], Session], find: Find) -> None:
        """Take what gives the session that is open (or raises SourceError), and what finds a resource's object."""
        self._context, self._session, self._find = context, session, find
        self._known: OrderedDict[tuple[str, bool], tuple[Action, asyncio.Task[ActionResult]]] = OrderedDict()

    async def act(self, action: Action, progress: Progress) -> ActionResult:
        """Carry out an action, or tell what became of it where it was sent before. Raises SourceError."""
        key = (action.id, action.dry_run)
        earlier = self._known.get(key)
        if earlier is not None and earlier[0] != action:
            return ActionResult(False, f"the action {action.id!r} was another one: a new action needs an id of its own")
        if earlier is None:
            # Whoever waits may give up; what was begun is followed to its end, each call under a deadline of its own.
            task = asyncio.create_task(self._act(action, progress), context=Variables())
            earlier = self._known[key] = (action, task)
            self._forget_old()
        return await asyncio.shield(earlier[1])

    def _forget_old(self) -> None:
        for key, (_, task) in list(self._known.items())[:-_REMEMBERED]:
            if task.done():
                del self._known[key]

    async def _act(self, action: Action, progress: Progress) -> ActionResult:
        try:
            checked = await self._checked(action)
        except SourceError:
            del self._known[(action.id, action.dry_run)]  # nothing was begun: the same id may try again
            raise
        if isinstance(checked, str):
            return _refused(checked)
        session, operation = checked
        if action.dry_run:
            return ActionResult(True, f"{operation.name} {operation.intent()}")
        return await self._carry_out(session, operation, progress)

    async def _checked(self, action: Action) -> tuple[Session, Operation] | str:
        """Return the operation that an action is, looked at and allowed, or why it is refused. Raises SourceError."""
        if (kind := VERBS.get(action.verb)) is None:
            return f"the collector vsphere can't carry out {action.verb!r}; it can {', '.join(VERBS)}"
        if action.resource.kind is not kind.kind:
            return f"{action.verb} is for a {kind.kind}, and this is a {action.resource.kind}"
        try:
            arguments = kind.Arguments.model_validate(dict(action.arguments))
        except ValidationError as error:
            return f"{action.verb}: {_words(error)}"
        if (target := self._find(action.resource)) is None:
            return f"the {action.resource.kind} {action.resource.key!r} is not known here"
        session = self._session()
        operation = kind(managed(session, target), arguments, self._find)
        try:
            return await self._context.call(_prepare, session, operation) or (session, operation)
        except TimeoutError as error:
            sentence = f"vSphere at {session.where} did not answer in time: {action.verb} was not begun"
            raise SourceUnreachableError(sentence) from error
        except SourceUnreachableError:
            raise
        except SourceError as error:
            return str(error)

    async def _carry_out(self, session: Session, operation: Operation, progress: Progress) -> ActionResult:
        what = f"{operation.verb} of {operation.name}"
        progress(0.0, f"{what} is asked for")
        try:
            task = await self._context.call(_begin, session, operation)
        except (TimeoutError, SourceError) as error:
            if isinstance(error.__cause__, library().vmodl.MethodFault) and not isinstance(
                error, SourceUnreachableError
            ):
                return _refused(f"{operation.name}: vSphere refuses: {fault_text(error.__cause__)}")
            why = str(error) or "no answer in time"
            raise SourceUnreachableError(f"whether {what} was begun is not known: {why}") from error
        return await self._follow(operation, task, progress)

    async def _follow(self, operation: Operation, task: str, progress: Progress) -> ActionResult:
        now, seconds, wait = asyncio.get_running_loop().time, operation.arguments.timeout_seconds, _LOOK_FIRST
        what, trouble, end = f"{operation.verb} of {operation.name}{_name_of(task)}", "", now() + seconds
        while (left := end - now()) > 0:
            await asyncio.sleep(min(wait, left))
            wait = min(wait * 1.5, _LOOK_LAST)
            try:
                seen = await self._context.call(_look, self._session(), operation, task)
            except (TimeoutError, SourceError) as error:
                if type(error.__cause__).__name__.endswith(".ManagedObjectNotFound"):
                    return ActionResult(False, f"{what}: vSphere has forgotten it, so how it ended is not known")
                trouble = f"; it can't be asked at the moment: {error}"
                continue
            trouble = ""
            progress(seen.share, f"{what} {'has ended' if seen.ended else 'is under way'}")
            if seen.ended and seen.error:
                return ActionResult(False, f"{what} has failed: {seen.error}")
            if seen.ended:
                return ActionResult(True, f"{operation.name} {operation.achieved()}{_name_of(task)}")
        goes_on = f"the task {task.partition(':')[2]} goes on at vSphere" if task else "it may still happen"
        return ActionResult(False, f"{what} did not end within {seconds:g} s: {goes_on}{trouble}")


def _prepare(session: Session, operation: Operation) -> str:
    """Look at everything; return why it can't be done, empty where it can. Blocks; raises SourceError."""
    operation.look(session)
    if not operation.facts:
        return f"{named(operation.target)} is not there any more"
    if missing := _missing(session, operation.needs()):
        return f"{operation.verb} of {operation.name} is not allowed: {', '.join(missing)}; grant it to the user's role"
    why = operation.refusal()
    return f"{operation.name} {why}" if why else ""


def _missing(session: Session, needs: Sequence[tuple[Any, str]]) -> list[str]:
    """Return the privileges that the session's user lacks, each with its object. Blocks; raises SourceError."""
    with session.errors():
        content = session.content
        key = content.sessionManager.currentSession.key
        entities, privileges = list(dict.fromkeys(entity for entity, _ in needs)), sorted({name for _, name in needs})
        answer = content.authorizationManager.HasPrivilegeOnEntities(entities, key, privileges)
        granted = {
            (reference(each.entity), privilege.privId)
            for each in answer
            for privilege in each.privAvailability
            if privilege.isGranted
        }
    return [
        f"the privilege {name} is missing on {named(entity)}"
        for entity, name in needs
        if (reference(entity), name) not in granted
    ]


def _begin(session: Session, operation: Operation) -> str:
    """Return the reference of the task that it became, empty where there is none. Blocks; raises SourceError."""
    with session.errors():
        task = operation.begin()
        return reference(task) if task is not None else ""


def _look(session: Session, operation: Operation, task: str) -> _Task:
    """Return how far it is. Blocks; raises SourceError."""
    if not task:
        operation.target = managed(session, reference(operation.target))
        return _Task(settled := operation.settled(session), "", float(settled))
    info = read(session, managed(session, task), ("info",)).get("info")
    if info is None:
        raise SourceError(f"vSphere at {session.where} says nothing of {task.partition(':')[2]}")
    if info.state == "error":
        return _Task(True, fault_text(info.error) if info.error is not None else "no reason was given", 1.0)
    if info.state == "success":
        return _Task(True, "", 1.0)
    return _Task(False, "", min(max(info.progress or 0, 0), 100) / 100)


def _name_of(task: str) -> str:
    return f" ({task.partition(':')[2]})" if task else ""


def _refused(why: str) -> ActionResult:
    return ActionResult(False, why)


def _words(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in each['loc']) or 'arguments'}: {each['msg']}" for each in error.errors()
    )
