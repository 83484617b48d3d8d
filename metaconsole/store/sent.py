"""Arrays of numbers as array_send writes them, read by numpy: an object per element would cost more than the rest.

The one promise: what is returned are the elements of exactly such arrays as were expected, or StoredFormatError.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metaconsole.store.samples import StoredFormatError

_HEAD: Final = tuple((name, ">i4") for name in ("dimensions", "nulls", "oid", "size", "lower"))
_KINDS: Final = {"int4": (23, ">i4", np.int64), "int8": (20, ">i8", np.int64), "float8": (701, ">f8", np.float64)}


def numbers(arrays: Sequence[bytes], kind: str, size: int | None = None) -> npt.NDArray[Any]:
    """Return the elements of arrays of equal length, of `size` if given, one array after the other."""
    oid, element, native = _KINDS[kind]
    if not arrays:
        return np.empty(0, native)
    head, length = np.dtype(list(_HEAD)), 4 + np.dtype(element).itemsize
    count = size or (len(arrays[0]) - head.itemsize) // length
    row = np.dtype([*_HEAD, ("elements", [("length", ">i4"), ("value", element)], (count,))])
    joined = b"".join(arrays)
    if len(joined) != len(arrays) * row.itemsize:
        raise StoredFormatError(f"an array does not hold the {count} numbers that it should")
    found = np.frombuffer(joined, row)
    as_told = (found["dimensions"] == 1) & (found["oid"] == oid) & (found["size"] == count)
    if not (as_told.all() and (found["elements"]["length"] == length - 4).all()):
        raise StoredFormatError(f"an array is not one of {kind}")
    return found["elements"]["value"].ravel().astype(native)


def ragged(joined: bytes, kind: str, counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the elements of arrays of several lengths that stand one after the other."""
    oid, element, native = _KINDS[kind]
    head, width = np.dtype(list(_HEAD)), 4 + np.dtype(element).itemsize
    sizes = head.itemsize + counts * width
    if len(joined) != sizes.sum():
        raise StoredFormatError(f"arrays do not hold the {counts.sum()} numbers that they should")
    begins = np.cumsum(sizes) - sizes
    data = np.frombuffer(joined, np.uint8)
    heads = data[begins[:, None] + np.arange(head.itemsize)].view(head).ravel()
    places = np.arange(counts.sum()) * width + np.repeat((np.arange(len(counts)) + 1) * head.itemsize, counts)
    found = data[places[:, None] + np.arange(width)].view([("length", ">i4"), ("value", element)]).ravel()
    as_told = (heads["dimensions"] == 1) & (heads["oid"] == oid) & (heads["size"] == counts)
    if not (as_told.all() and (found["length"] == width - 4).all()):
        raise StoredFormatError(f"an array is not one of {kind}")
    return found["value"].astype(native)
