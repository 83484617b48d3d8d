"""How both ends group the sequences of an epoch, so that what was produced and what is stored can be compared.

The one promise: a sequence is in one block, whatever any clock says.
"""

from typing import Final

BLOCK: Final = 4096  # sequences; part of the wire contract, and of what the database holds


def block_of(sequence: int) -> int:
    """Return the number of the block that a sequence belongs to."""
    return sequence // BLOCK
