"""Records: whole or not at all, whatever the bytes are."""

from hypothesis import given
from hypothesis import strategies as st

from satellite.records import FILE_MAGIC, HEAD_BYTES, MARK, RecordType, pack, scan

_PAYLOADS = st.lists(st.one_of(st.binary(max_size=60), st.just(MARK * 3)), min_size=1, max_size=6)


def _file(payloads: list[bytes]) -> bytes:
    return FILE_MAGIC + b"".join(pack(n + 1, n, RecordType.EVENTS, p) for n, p in enumerate(payloads))


@given(_PAYLOADS)
def test_what_was_packed_is_found(payloads: list[bytes]) -> None:
    data = _file(payloads)
    found = scan(data)
    assert [data[record.payload] for record in found.records] == payloads
    assert [record.sequence for record in found.records] == list(range(1, len(payloads) + 1))
    assert found.end == len(data)
    assert not found.damaged


@given(_PAYLOADS, st.data())
def test_a_file_cut_anywhere_keeps_the_records_before_the_cut(payloads: list[bytes], data: st.DataObject) -> None:
    whole = _file(payloads)
    cut = data.draw(st.integers(0, len(whole)))
    found = scan(whole[:cut])
    kept = [record for record in scan(whole).records if record.offset + record.size <= cut]
    assert found.records == kept
    assert found.end <= cut


@given(_PAYLOADS, st.data())
def test_a_flipped_bit_costs_one_record(payloads: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(_file(payloads))
    at = data.draw(st.integers(len(FILE_MAGIC), len(whole) - 1))
    hit = next(r for r in scan(bytes(whole)).records if r.offset <= at < r.offset + r.size)
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    left = [record.sequence for record in scan(bytes(whole)).records]
    assert left == [n for n in range(1, len(payloads) + 1) if n != hit.sequence]


@given(st.binary(max_size=400))
def test_rubbish_is_never_a_record(rubbish: bytes) -> None:
    assert scan(rubbish).records == []
    assert scan(FILE_MAGIC + MARK + b"\xff" * HEAD_BYTES + rubbish).records == []
