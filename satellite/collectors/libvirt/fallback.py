"""Drivers of libvirt whose bulk call says little (test, LXC, Xen …): the same statistics, guest by guest.

The one promise: what comes out has the names of the bulk call, and what the driver can't do is asked once only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from satellite.collectors.libvirt.documents import GuestDocument
from satellite.collectors.libvirt.library import library, unsupported

_BLOCK = ("rd.reqs", "rd.bytes", "wr.reqs", "wr.bytes")
_SIZES = ("capacity", "allocation", "physical")
_CARD = ("rx.bytes", "rx.pkts", "rx.errs", "rx.drop", "tx.bytes", "tx.pkts", "tx.errs", "tx.drop")


class Fallback:
    """Remembers, for one connection, what its driver can't do."""

    def __init__(self) -> None:
        self._missing: set[str] = set()

    def optional(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of libvirt; return an empty mapping where the driver can't do it, and don't ask again."""
        name = function.__qualname__
        if name in self._missing:
            return {}
        try:
            return function(*arguments)
        except library().libvirtError as error:
            if not unsupported(error):
                raise
            self._missing.add(name)
            return {}

    def statistics(
        self, domain: Any, bulk: Mapping[str, int | str], document: GuestDocument
    ) -> Mapping[str, int | str]:
        """Return the statistics of one guest in a few calls."""
        state, maximum, memory, cpus, cpu_time = domain.info()
        found: dict[str, int | str] = {"state.state": state, "vcpu.current": cpus, **bulk}
        if "state.reason" not in found:
            found["state.reason"] = domain.state()[1]
        if not domain.isActive():
            return found
        found |= {"cpu.time": cpu_time, "balloon.current": memory, "balloon.maximum": maximum}
        for name, value in self.optional(domain.memoryStats).items():
            found.setdefault("balloon." + name.replace("last_update", "last-update"), value)
        self._cpus(domain, found)
        self._disks(domain, document, found)
        self._cards(domain, document, found)
        return found

    def _cpus(self, domain: Any, found: dict[str, int | str]) -> None:
        cpus = self.optional(domain.vcpus)
        if cpus:
            found["vcpu.maximum"] = len(cpus[0])
            found |= {f"vcpu.{number}.time": time for number, _, time, _ in cpus[0]}

    def _disks(self, domain: Any, document: GuestDocument, found: dict[str, int | str]) -> None:
        found["block.count"] = len(document.disks)
        for number, disk in enumerate(document.disks):
            found[f"block.{number}.name"] = disk.name
            _name(found, f"block.{number}", _BLOCK, self.optional(domain.blockStats, disk.name))
            _name(found, f"block.{number}", _SIZES, self.optional(domain.blockInfo, disk.name))

    def _cards(self, domain: Any, document: GuestDocument, found: dict[str, int | str]) -> None:
        cards = [card for card in document.cards if card.target]
        found["net.count"] = len(cards)
        for number, card in enumerate(cards):
            found[f"net.{number}.name"] = card.target
            _name(found, f"net.{number}", _CARD, self.optional(domain.interfaceStats, card.target))


def _name(found: dict[str, int | str], prefix: str, names: Sequence[str], values: Sequence[int]) -> None:
    # Drivers say -1 for what they don't count; the tuple's further places have no name in the bulk call.
    found |= {f"{prefix}.{name}": value for name, value in zip(names, values, strict=False) if value >= 0}
