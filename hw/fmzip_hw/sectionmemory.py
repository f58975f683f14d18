"""Ring buffer of the encoder for one section of the tiles that are not yet put out."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register


class SectionMemory(wiring.Component):
    """Ring buffer for one section of several tiles, in words of its own size.

    Words beyond ``limit`` of a tile are dropped: such a tile will be stored raw.

    Parameters
    ----------
    width : bits of a word
    depth : words, a power of two
    limit : words of one tile that are kept
    in_flight : words that may still come after ``room`` has fallen

    Members
    -------
    write, bits : In, append a word
    end : In(1), the tile is complete; not with ``write``
    words : Out, words of the tile that ended last, from the cycle behind ``end``
    room : Out(1), what is in flight still fits
    select : In(1), read in this cycle
    read : Out(width), the word that was the oldest ``read_latency`` cycles ago if ``select`` was
        set, else 0
    drop : In, so many words are no longer needed: 1 behind each word that was read, or the words
        of a tile that is not read at all
    """

    read_latency = BlockRam.latency + 1

    def __init__(self, width: int, depth: int, limit: int, in_flight: int):
        exact_log2(depth)
        self._width, self._depth, self._limit = width, depth, limit
        self._in_flight = in_flight
        count = range(depth + 1)
        super().__init__({
            "write": In(1),
            "bits": In(width),
            "end": In(1),
            "words": Out(count),
            "room": Out(1, init=1),
            "select": In(1),
            "read": Out(width),
            "drop": In(count),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Only complete tiles are read, so a word is never read while it is written.
        m.submodules.memory = memory = BlockRam(self._width, self._depth)
        # One bit more than the address: their difference is the number of words held.
        head = Signal.like(self.words)  # where the next word goes
        tail = Signal.like(self.words)  # the oldest word
        fill = Signal.like(self.words)
        count = Signal.like(self.words)  # words of the current tile
        at_limit = Signal()
        selected = register(m, self.select, memory.latency)
        kept = self.write & ~at_limit
        m.d.comb += [
            memory.w_addr.eq(head),
            memory.w_data.eq(self.bits),
            memory.w_en.eq(kept),
            memory.r_addr.eq(tail),
            memory.r_en.eq(1),
            memory.r_next.eq(1),
        ]
        m.d.sync += [
            tail.eq(tail + self.drop),
            fill.eq(head - tail),
            self.room.eq((fill <= self._depth - self._in_flight) | at_limit),
            self.read.eq(Mux(selected, memory.r_data, 0)),
        ]
        with m.If(kept):
            m.d.sync += [
                head.eq(head + 1),
                count.eq(count + 1),
                at_limit.eq(count == self._limit - 1),
            ]
        with m.If(self.end):
            m.d.sync += [self.words.eq(count), count.eq(0), at_limit.eq(0)]
        return m
