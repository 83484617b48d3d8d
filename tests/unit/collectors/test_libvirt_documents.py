"""libvirt's documents as hostile text."""

import pytest

from satellite.collectors.libvirt.documents import Card, Disk, DocumentError, clean, guest_document, parse

DOMAIN = """\
<domain type='kvm' id='7'>
  <name>n</name><title>Mail\tserver</title>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
  </metadata>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='/a/b.img'/><target dev='vda'/></disk>
    <disk type='volume' device='disk'><source pool='fast' volume='c'/><target dev='vdb'/></disk>
    <disk type='file' device='cdrom'><target dev='hda'/></disk>
    <interface type='bridge'><mac address='52:54:00:AA:bb:01'/><source bridge='br0'/><target dev='vnet3'/></interface>
    <memballoon model='virtio'><stats period='10'/></memballoon>
  </devices>
</domain>
"""


def test_a_definition_is_read() -> None:
    document = guest_document(DOMAIN)
    assert (document.title, document.os) == ("Mail server", "http://debian.org/debian/12")
    assert (document.arch, document.machine, document.balloon_period) == ("x86_64", "pc-q35-7.2", 10)
    assert document.disks == (Disk("vda", "/a/b.img"), Disk("vdb", pool="fast"), Disk("hda"))
    assert document.cards == (Card("52:54:00:aa:bb:01", "vnet3", "", "br0"),)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        "<!DOCTYPE a><a/>",
        "<a>&undefined;</a>",
        "<a><b></a>",
        "",
        "not xml",
        "<a>" * 65 + "</a>" * 65,
        "<a>" + "x" * 1024 * 1024 + "</a>",
        "<a>\x00</a>",
    ],
)
def test_hostile_documents_are_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        parse(text)


def test_an_empty_definition_says_nothing() -> None:
    document = guest_document("<domain/>")
    assert (document.title, document.disks, document.cards, document.balloon_period) == ("", (), (), 0)


def test_devices_are_bounded() -> None:
    disks = "<disk><target dev='vda'/></disk>" * 1000
    assert len(guest_document(f"<domain><devices>{disks}</devices></domain>").disks) == 256


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (None, ""),
        ("a\nb\x00c", "a b c"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\udcff", ""),
        ("x" * 999, "x" * 255),
        ("名前", "名前"),
        ("<script>", "<script>"),
    ],
)
def test_names_are_cleaned_and_kept_as_text(text: str | None, cleaned: str) -> None:
    assert clean(text) == cleaned
