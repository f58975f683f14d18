"""Signal layouts that several components share, made from the tables of ``fmzip.format``."""

from amaranth.hdl import Module, Value
from amaranth.lib import data
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, HEAD, STATIC_BYTES
from fmzip_hw.pipeline import register

# The static part of a frame's head. It configures the codec, and it opens the frame, as it is.
HeadLayout = data.StructLayout({f.name: 8 * f.size for f in HEAD if f.offset < STATIC_BYTES})
assert HeadLayout.size == 8 * STATIC_BYTES


def check_lanes(lanes: int) -> int:
    """``lanes`` if it is 2, 4 or 8; ValueError otherwise."""
    if lanes not in (2, 4, 8):
        raise ValueError(f"lanes must be 2, 4 or 8, not {lanes!r}")
    return lanes


def beats_per_block(lanes: int) -> int:
    """Beats that carry one block."""
    return BLOCK // lanes


def tail_of(m: Module, tail: Value, lanes: int) -> tuple[Value, Value]:
    """Of a block with ``tail`` values: number of its last beat, and how many values that has."""
    shift = exact_log2(lanes)
    before = register(m, tail - 1)[: len(tail)]
    return register(m, before >> shift), register(m, before[:shift] + 1)


def beat_layout(lanes: int) -> data.StructLayout:
    """A beat: ``lanes`` values, lane 0 in the lowest bits; ``keep`` marks lanes with a channel."""
    return data.StructLayout({"data": data.ArrayLayout(8, lanes), "keep": lanes, "last": 1})


def word_layout(lanes: int) -> data.StructLayout:
    """A word of a coded tile: 8 bits per lane; ``last`` ends the tile, ``raw`` is its mode."""
    return data.StructLayout({"data": 8 * lanes, "last": 1, "raw": 1})
