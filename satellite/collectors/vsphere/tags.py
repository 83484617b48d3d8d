"""Tags of objects, which a vCenter tells over its other API (/api) and in no property.

The one promise: without them the inventory is as good as ever; they are asked for every ten minutes at most.
"""

import json
import logging
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import quote

from satellite.collector import SourceError
from satellite.collectors.vsphere.config import VsphereConfig
from satellite.collectors.vsphere.library import clean
from satellite.collectors.vsphere.picture import Tags
from satellite.collectors.vsphere.session import Session
from satellite.secret import read_secret

log = logging.getLogger(__name__)

_EVERY: Final = 600.0
_AT_ONCE: Final = 2000  # objects in a call
_TIMEOUT: Final = 5.0  # of a call
_SECONDS: Final = 15.0  # of a round: nobody waits longer for tags
_NAME: Final = 100
_TAGGING: Final = "/api/cis/tagging"


class TagReader:
    """Reads tags; remembers their names, for each of which the server wants a call of its own."""

    def __init__(self, config: VsphereConfig) -> None:
        self._config = config
        self._due = 0.0
        self._names: dict[str, tuple[str, str]] = {}  # tag: its category and its name

    @property
    def due(self) -> bool:
        """Whether they are to be read now."""
        return time.monotonic() >= self._due

    def read(self, session: Session, refs: Sequence[str]) -> Tags | None:
        """Return the tags of objects; None where they can't be had. Blocks, never raises SourceError."""
        self._due = time.monotonic() + _EVERY
        try:
            with session.errors():
                return self._read(session, refs)
        except SourceError as error:
            log.info("tags of vSphere at %s are not shown: %s", session.where, error)
            return None

    def _read(self, session: Session, refs: Sequence[str]) -> Tags:
        end = time.monotonic() + _SECONDS
        api = _Api(session.plain_connection(_TIMEOUT), end)
        try:
            api.log_in(self._config.user, read_secret(self._config.password_file))
            attached = {ref: ids for ref, ids in self._attached(api, refs) if ids}
            self._learn(api, sorted({tag for ids in attached.values() for tag in ids} - self._names.keys()), end)
            api.log_out()
        finally:
            api.close()
        return {ref: grouped([self._names[tag] for tag in ids if tag in self._names]) for ref, ids in attached.items()}

    def _attached(self, api: "_Api", refs: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
        for start in range(0, len(refs), _AT_ONCE):
            some = [dict(zip(("type", "id"), ref.split(":", 1), strict=True)) for ref in refs[start : start + _AT_ONCE]]
            path = f"{_TAGGING}/tag-association?action=list-attached-tags-on-objects"
            for each in api.ask("POST", path, {"object_ids": some}):
                yield f"{each['object_id']['type']}:{each['object_id']['id']}", [str(tag) for tag in each["tag_ids"]]

    def _learn(self, api: "_Api", tags: Sequence[str], end: float) -> None:
        categories: dict[str, str] = {}
        for tag in tags:
            if time.monotonic() > end - 2 * _TIMEOUT:
                return  # the others are learnt in the next round
            about = api.ask("GET", f"{_TAGGING}/tag/{quote(tag, safe='')}")
            category = str(about["category_id"])
            if category not in categories:
                found = api.ask("GET", f"{_TAGGING}/category/{quote(category, safe='')}")
                categories[category] = clean(str(found["name"]), _NAME)
            self._names[tag] = categories[category], clean(str(about["name"]), _NAME)


def grouped(tags: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Return tags by category: of a category with several of them, in order and with commas between."""
    by_category: dict[str, list[str]] = {}
    for category, name in sorted(set(tags)):
        by_category.setdefault(category, []).append(name)
    return tuple((category, ", ".join(names)) for category, names in by_category.items())


class _Api:
    """One login at the other API. Every failure is an error that the session knows to explain."""

    def __init__(self, connection: HTTPConnection, end: float) -> None:
        self._connection, self._end = connection, end
        self._key = ""

    def log_in(self, user: str, password: str) -> None:
        word = b64encode(f"{user}:{password}".encode()).decode("ascii")
        self._key = str(self.ask("POST", "/api/session", headers={"Authorization": f"Basic {word}"}))

    def log_out(self) -> None:
        self.ask("DELETE", "/api/session")

    def close(self) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """Return an answer. Raises HTTPException, OSError and what a document raises that is none."""
        if time.monotonic() > self._end:
            raise TimeoutError
        sent = {"Content-Type": "application/json", **(headers or {"vmware-api-session-id": self._key})}
        self._connection.request(method, path, None if body is None else json.dumps(body).encode(), sent)
        answer = self._connection.getresponse()
        content = answer.read()
        if not 200 <= answer.status < 300:
            raise HTTPException(f"{path.partition('?')[0]} answered {answer.status}")
        return json.loads(content) if content else None
