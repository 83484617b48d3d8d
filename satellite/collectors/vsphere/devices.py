"""The virtual hardware of a guest and the physical cards of a host, from the vendor's lists of devices to short texts.

The one promise: a device that can't be read is left out, and never costs the others.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from satellite.collectors.vsphere.facts import MANY, joined, text, whole
from satellite.collectors.vsphere.library import clean, library

T = TypeVar("T")
_MAC: Final = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_NO_MAC: Final = "00:00:00:00:00:00"
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a guest's list of devices says."""

    disks: str
    cards: str
    others: str
    macs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cards:
    """What a host's list of physical network cards says."""

    cards: str
    macs: tuple[str, ...]


def hardware(value: Any) -> Hardware:
    """Return config.hardware.device in short."""
    device = library().vim.vm.device
    disks: list[str] = []
    cards: list[str] = []
    others: list[str] = []
    macs: list[str] = []
    for each in value[:MANY]:
        if isinstance(each, device.VirtualDisk):
            disks += _some(_disk, each)
        elif isinstance(each, device.VirtualEthernetCard):
            cards += _some(_card, each)
            macs += _some(lambda card: mac(card.macAddress), each)
        elif not isinstance(each, device.VirtualController):
            others += _some(_label, each)
    return Hardware(joined(disks), joined(cards), joined(others), unique(macs))


def physical_cards(value: Any) -> Cards:
    """Return config.network.pnic in short."""
    cards: list[str] = []
    macs: list[str] = []
    for each in value[:MANY]:
        cards += _some(_physical_card, each)
        macs += _some(lambda card: mac(card.mac), each)
    return Cards(joined(cards), unique(macs))


def addresses(value: Any) -> tuple[str, ...]:
    """Return the IP addresses of guest.net, in order: the guest may tell them in another one each time."""
    found = {clean(address, 64) for card in value[:MANY] for address in card.ipAddress[:MANY]}
    return tuple(sorted(found - {""})[:MANY])


def mac(value: Any) -> str:
    """Return a hardware address in canonical form; empty for what is none."""
    address = value.strip().lower().replace("-", ":") if isinstance(value, str) else ""
    return address if _MAC.fullmatch(address) and address != _NO_MAC else ""


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Return what is not empty, each once, in order."""
    return tuple(sorted(set(values) - {""}))


def size(amount: int) -> str:
    """Return an amount of bytes as people read it."""
    unit = min(max(amount.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{amount / 1024**unit:.4g} {_UNITS[unit]}"


def _some(convert: Callable[[Any], T], device: Any) -> Iterator[T]:
    """Yield what a device is converted to, or nothing where it is not what it says it is."""
    try:
        converted = convert(device)
    except (AttributeError, TypeError, ValueError):
        return
    yield converted


def _label(device: Any) -> str:
    return clean(device.deviceInfo.label, 100)


def _disk(disk: Any) -> str:
    amount = disk.capacityInBytes if disk.capacityInBytes is not None else disk.capacityInKB * 1024
    thin = " thin" if getattr(disk.backing, "thinProvisioned", None) else ""
    file = text(getattr(disk.backing, "fileName", None))
    return f"{_label(disk)}: {size(whole(amount) or 0)}{thin}" + (f" {file}" if file else "")


def _card(card: Any) -> str:
    kind = type(card).__name__.rpartition(".")[2].removeprefix("Virtual")
    connected = "" if card.connectable is None or card.connectable.connected else " not connected"
    return f"{_label(card)}: {kind} {mac(card.macAddress)}{connected}"


def _physical_card(card: Any) -> str:
    speed = f"{card.linkSpeed.speedMb} Mbit/s" if card.linkSpeed is not None else "no link"
    return f"{clean(card.device, 100)}: {mac(card.mac)} {speed}"
