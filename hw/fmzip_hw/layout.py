"""Signal layouts that several components share, made from the tables of ``fmzip.format``."""

from amaranth.hdl import Cat, Module, Mux, Value
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


def absent_bits(lanes: int) -> int:
    """Bits of ``absent_lanes``. With 8 lanes a block has one part, and that has a channel."""
    return 1 if lanes == BLOCK else 2


def absent_lanes(keep: Value) -> Value:
    """Of the lanes ``keep`` of a part of a block: some have no channel, and none has one."""
    return Cat(~keep[-1], ~keep[0])[: absent_bits(len(keep))]


def lanes_of(in_tail: Value, absent: Value) -> Value:
    """The lanes with a channel: all, ``in_tail`` or none, as ``absent_lanes`` says."""
    if len(absent) > 1:
        in_tail = in_tail & (~absent[1]).replicate(len(in_tail))
    return Mux(absent[0], in_tail, (1 << len(in_tail)) - 1)


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
