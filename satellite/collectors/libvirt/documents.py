"""libvirt's XML documents, read as hostile text: guests are defined by people whom the satellite does not know.

The one promise: no document type, no entity, nothing outside the text and no more than 1 MiB of it is ever read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

_LIMIT: Final = 1024 * 1024
_DEPTH: Final = 64
_DEVICES: Final = 256
_TEXT: Final = 255


class DocumentError(ValueError):
    """A document that is too large, not XML, or uses what is refused."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A guest's disk: its name in the guest, and the file, or the pool and volume, that it is stored in."""

    name: str
    path: str = ""
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A guest's network card: its address, its end on the host (empty when not running), the network it is on."""

    mac: str
    target: str = ""
    network: str = ""
    bridge: str = ""


@dataclass(frozen=True, slots=True)
class GuestDocument:
    """What a guest's definition says; balloon_period is in seconds, 0 where the driver is not asked."""

    title: str = ""
    os: str = ""
    machine: str = ""
    arch: str = ""
    disks: Sequence[Disk] = ()
    cards: Sequence[Card] = ()
    balloon_period: int = 0


def guest_document(xml: str) -> GuestDocument:
    """Read a domain's XML. Raises DocumentError."""
    root = parse(xml)
    kind = root.find("os/type")
    return GuestDocument(
        title=clean(root.findtext("title")),
        os=clean(_attribute(root, "metadata/*/{*}os", "id")),
        machine=clean(kind.get("machine") if kind is not None else ""),
        arch=clean(kind.get("arch") if kind is not None else ""),
        disks=tuple(map(_disk, root.findall("devices/disk")[:_DEVICES])),
        cards=tuple(map(_card, root.findall("devices/interface")[:_DEVICES])),
        balloon_period=_number(_attribute(root, "devices/memballoon/stats", "period")),
    )


def pool_path(xml: str) -> str:
    """Return the folder or device that a storage pool's XML names, empty where it has none. Raises DocumentError."""
    return parse(xml).findtext("target/path") or ""


def network_bridge(xml: str) -> str:
    """Return the bridge that a network's XML names, empty where it has none. Raises DocumentError."""
    return _attribute(parse(xml), "bridge", "name")


def host_uuid(xml: str) -> str:
    """Return the UUID of the capabilities, empty where they have none. Raises DocumentError."""
    return clean(parse(xml).findtext("host/uuid"))


def parse(xml: str) -> Element:
    """Read a document without types and entities. Raises DocumentError."""
    if len(xml) > _LIMIT:
        raise DocumentError(f"the document has {len(xml)} characters, the limit is {_LIMIT}")
    builder, depth = TreeBuilder(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise DocumentError(f"the document is nested deeper than {_DEPTH}")
        builder.start(_qualified(tag), attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_qualified(tag))

    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(xml, True)
        return builder.close()
    except expat.ExpatError as error:
        raise DocumentError(f"the document is not XML: {error}") from error


def clean(text: str | None, limit: int = _TEXT) -> str:
    """Return text fit for a name or fact: no control characters, no lone surrogates, at most limit characters."""
    kept = (character if character.isprintable() else " " for character in (text or "")[: limit * 2])
    return "".join(kept).strip()[:limit]


def _qualified(tag: str) -> str:
    return "{" + tag if "}" in tag else tag


def _refuse(*_declaration: Any) -> None:
    raise DocumentError("the document declares a type or entities, which is refused")


def _disk(element: Element) -> Disk:
    source = element.find("source")
    found = source if source is not None else Element("source")
    path = found.get("file") or found.get("dev") or found.get("dir") or ""
    return Disk(clean(_attribute(element, "target", "dev")), path[:4096], clean(found.get("pool")))


def _card(element: Element) -> Card:
    return Card(
        mac=clean(_attribute(element, "mac", "address")).lower(),
        target=clean(_attribute(element, "target", "dev")),
        network=clean(_attribute(element, "source", "network")),
        bridge=clean(_attribute(element, "source", "bridge")),
    )


def _attribute(element: Element, path: str, name: str) -> str:
    found = element.find(path)
    return "" if found is None else found.get(name) or ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
