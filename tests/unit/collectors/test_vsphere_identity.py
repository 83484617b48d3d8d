"""Keys of vSphere's objects: UUIDs where they are any good, and no two objects under one key."""

import pytest

from satellite.collectors.vsphere.facts import Facts
from satellite.collectors.vsphere.identity import Keys, uuid
from shared.model import Kind, ResourceKey

A, B = "500a1111-2222-3333-4444-555566667777", "500b1111-2222-3333-4444-555566667777"


def guest(number: str, instance: str = "", bios: str = "") -> Facts:
    values: dict[str, object] = {"config.instanceUuid": instance, "config.uuid": bios}
    return Facts("VirtualMachine", number, {path: value for path, value in values.items() if value})


def host(number: str, hardware: str) -> Facts:
    return Facts("HostSystem", number, {"hardware.systemInfo.uuid": hardware})


def keys_of(keys: Keys) -> dict[str, str]:
    return {ref.partition(":")[2]: key.key for ref, key in keys.all.items()}


@pytest.mark.parametrize(
    ("facts", "key"),
    [
        (guest("vm-1", A, B), A),
        (guest("vm-1", A.upper(), B), A),
        (guest("vm-1", "", B), B),
        (guest("vm-1", "not a uuid", B), B),
        (guest("vm-1", "00000000-0000-0000-0000-000000000000"), "vm-1"),
        (guest("vm-1", A + "0" * 100_000), "vm-1"),
        (guest("vm-1"), "vm-1"),
        (host("host-1", "03000200-0400-0500-0006-000700080009"), "host-1"),
        (host("host-1", A), A),
    ],
)
def test_a_key_is_the_best_uuid_that_is_one(facts: Facts, key: str) -> None:
    keys = Keys()
    assert keys.update([facts], []) == {facts.ref}
    assert keys_of(keys) == {facts.id: key}


def test_of_several_with_one_uuid_the_oldest_has_it_and_all_are_flagged() -> None:
    keys = Keys()
    keys.update([guest("vm-100", A), guest("vm-9", A), guest("vm-20", B)], [])
    assert keys_of(keys) == {"vm-9": A, "vm-100": f"{A}/vm-100", "vm-20": B}
    assert [keys.shared(f"VirtualMachine:vm-{number}") for number in (9, 100, 20)] == [True, True, False]
    touched = keys.update([], ["VirtualMachine:vm-9"])
    assert touched == {"VirtualMachine:vm-9", "VirtualMachine:vm-100"}
    assert keys_of(keys) == {"vm-100": A, "vm-20": B}
    assert not keys.shared("VirtualMachine:vm-100")


def test_one_that_is_registered_anew_takes_the_key_over() -> None:
    keys = Keys()
    keys.update([guest("vm-1", A)], [])
    assert keys.update([guest("vm-7", A)], ["VirtualMachine:vm-1"]) == {"VirtualMachine:vm-1", "VirtualMachine:vm-7"}
    assert keys_of(keys) == {"vm-7": A}


def test_a_uuid_that_comes_later_or_changes() -> None:
    keys = Keys()
    keys.update([guest("vm-1")], [])
    assert keys.update([guest("vm-1", A)], []) == {"VirtualMachine:vm-1"}
    assert keys.update([guest("vm-1", A, B)], []) == set()
    assert keys.update([guest("vm-1", B)], []) == {"VirtualMachine:vm-1"}
    assert keys_of(keys) == {"vm-1": B}


def test_no_two_objects_have_one_key_whatever_their_ids_are() -> None:
    keys = Keys()
    keys.update([Facts("Folder", "x"), Facts("ResourcePool", "x"), Facts("Datacenter", "x"), Facts("Alarm", "x")], [])
    assert len(keys.all) == len(set(keys.all.values())) == 3
    assert set(keys.all.values()) >= {ResourceKey(Kind.POOL, "x"), ResourceKey(Kind.POOL, "x/Folder")}


def test_a_thousand_with_one_uuid_have_a_thousand_keys() -> None:
    keys = Keys()
    keys.update([host(f"host-{number}", A) for number in range(1000)], [])
    assert len(set(keys.all.values())) == 1000
    assert keys.all["HostSystem:host-0"].key == A == uuid(f" {A.upper()} ")
