"""What must be on the wires of a frame, transfer by transfer, as the reference has it."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fmzip.format import BLOCK, FrameConfig, TileMode, ceil_div
from fmzip.reference import parse_head
from fmzip.reference.tiling import tile_starts, to_lanes


class Beat(NamedTuple):
    """One transfer of values.

    Members
    -------
    tile, block : block within the tile
    lane : number of the first value within its block
    values : one byte per value; a partial block's last beat has fewer than there are lanes
    last : the tile ends
    """

    tile: int
    block: int
    lane: int
    values: bytes
    last: bool


class Word(NamedTuple):
    """One transfer of coded bytes.

    Members
    -------
    tile, number : word within the tile
    data : the bytes, first one lowest
    last : the tile ends
    raw : the tile is raw
    """

    tile: int
    number: int
    data: int
    last: bool
    raw: bool


def beats(values: np.ndarray, config: FrameConfig, lanes: int) -> list[Beat]:
    """The values of a map in wire order.

    Parameters
    ----------
    values : uint8 or int8 [C, H, W]
    lanes : values per beat
    """
    blocks = np.ascontiguousarray(to_lanes(values, config).T).view(np.uint8)
    per_pixel = config.blocks_per_pixel
    tail = config.channels - BLOCK * (per_pixel - 1)
    out = []
    for tile, (start, stop) in enumerate(pairwise(tile_starts(config).tolist())):
        for block in range(stop - start):
            there = tail if block % per_pixel == per_pixel - 1 else BLOCK
            data = blocks[start + block, :there].tobytes()
            for lane in range(0, there, lanes):
                last = block == stop - start - 1 and lane + lanes >= there
                out.append(Beat(tile, block, lane, data[lane : lane + lanes], last))
    return out


def tiles(frame: bytes) -> list[tuple[bytes, bool]]:
    """Bytes of each tile, padding included, and whether it is raw."""
    head = parse_head(frame)
    start = head.config.head_bytes
    bounds = pairwise((start + head.offsets).tolist())
    return [
        (frame[a:b], mode == TileMode.RAW)
        for (a, b), mode in zip(bounds, head.modes.tolist(), strict=True)
    ]


def words(frame: bytes, lanes: int) -> list[Word]:
    """The tiles of a frame, ``lanes`` bytes per word."""
    out = []
    for tile, (data, raw) in enumerate(tiles(frame)):
        count = ceil_div(len(data), lanes)
        for number in range(count):
            bits = int.from_bytes(data[lanes * number : lanes * (number + 1)], "little")
            out.append(Word(tile, number, bits, number == count - 1, raw))
    return out
