"""The traffic plan: what each stored map moves on the bus, as the board's counters would say.

A frame begins at a row of the memory. It is written tiles first and head last, and read head first;
a request stays inside a row, and a row switch is a request to another row than the one before. All
of a network's maps do not fit one row, so each pass over a map begins with a switch. A baseline's
stream has no head of its own: it is written and read from its first byte to its last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmzip.format import DEFAULT_BURST_BYTES, round_up
from fmzip.regs import ROW_BYTES


@dataclass(frozen=True)
class Plan:
    """Bytes and row switches, summed over maps and pictures."""

    write_bytes: int = 0
    read_bytes: int = 0
    row_switches: int = 0

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(
            self.write_bytes + other.write_bytes,
            self.read_bytes + other.read_bytes,
            self.row_switches + other.row_switches,
        )


def write_switches(bus_bytes: np.ndarray, head_bytes: int = 0) -> np.ndarray:
    """Row switches of one write of each frame: int64, as ``bus_bytes``.

    Parameters
    ----------
    bus_bytes : int64 of any shape, size of each frame or stream
    head_bytes : of them, written last; 0 for a stream
    """
    last = (bus_bytes - 1) // ROW_BYTES
    if not head_bytes:
        return last + 1
    tiles = last - head_bytes // ROW_BYTES + 1
    # The head lies in row 0 and on: another row than the last one of the tiles, or the same.
    head = (head_bytes - 1) // ROW_BYTES + (last > 0)
    return tiles + head


def read_switches(bus_bytes: np.ndarray) -> np.ndarray:
    """Row switches of one read of each frame or stream: int64, as ``bus_bytes``."""
    return (bus_bytes - 1) // ROW_BYTES + 1


def plan(bus_bytes: np.ndarray, reads: Sequence[int], heads: Sequence[int] | None = None) -> Plan:
    """One write and all reads of every map.

    Parameters
    ----------
    bus_bytes : int64 [pictures, maps]
    reads : of each map
    heads : size of each map's head, None for streams
    """
    total = Plan()
    for k, times in enumerate(reads):
        sizes = bus_bytes[:, k]
        size = int(sizes.sum())
        writes = write_switches(sizes, heads[k] if heads else 0)
        total += Plan(
            size, times * size, int(writes.sum()) + times * int(read_switches(sizes).sum())
        )
    return total


def raw_plan(values: Sequence[int], reads: Sequence[int], pictures: int) -> Plan:
    """The same traffic without a codec: a byte per value, in whole bursts.

    Parameters
    ----------
    values, reads : of each map
    """
    sizes = np.array([[round_up(n, DEFAULT_BURST_BYTES) for n in values]], np.int64)
    return plan(np.repeat(sizes, pictures, axis=0), reads)
