"""A memory that gives back a tile's words in reverse order while the next tile's are written."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register, register_flag, up_or_down


class ReversalBuffer(wiring.Component):
    """One memory for two tiles: the words of one go where those of the other have been read.

    So each tile is written in the direction in which the one before is read, and the direction
    alternates. ``latency`` cycles pass from ``step`` to ``read``.

    Parameters
    ----------
    width : bits of a word
    depth : words, a power of two; a tile may have as many

    Members
    -------
    enter : In(1), a word is on its way to ``write``; only while ``room``
    room : Out(1), another word of the tile has a place
    write, bits : In, append a word to the tile
    turn : In(1), the tile is complete; only while ``empty``. No word may be on its way
    empty : Out(1), the tile before has been read
    step : In(1), read the next word, the last one first; only while not ``empty``
    last : Out(1), it is the tile's first word
    read : Out(width)
    """

    latency = BlockRam.latency + 1

    def __init__(self, width: int, depth: int):
        exact_log2(depth)
        self._width, self._depth = width, depth
        super().__init__({
            "enter": In(1), "room": Out(1, init=1), "write": In(1), "bits": In(width),
            "turn": In(1), "empty": Out(1, init=1),
            "step": In(1), "last": Out(1), "read": Out(width),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self._depth
        m.submodules.memory = memory = BlockRam(self._width, depth)
        down = Signal()  # the direction of both, since one follows the other
        write_at, read_at, latest, second, final_but_one = (
            Signal(range(depth), name=name)
            for name in ("write_at", "read_at", "latest", "second", "final_but_one")
        )
        some, several = Signal(), Signal()  # words have been written
        # The memory may be all over the chip: registers between it and what counts.
        m.d.comb += [
            memory.w_en.eq(register_flag(m, self.write)),
            memory.w_addr.eq(register(m, write_at)),
            memory.w_data.eq(register(m, self.bits)),
            memory.r_en.eq(1),
            memory.r_next.eq(1),
            memory.r_addr.eq(register(m, read_at)),
            self.read.eq(memory.r_data),
        ]
        # A tile's first word is the last one to be read. It is known by the one that is read before
        # it, so that no address has to be worked out first.
        with m.If(self.turn):
            m.d.sync += [down.eq(~down), write_at.eq(latest), final_but_one.eq(second)]
            m.d.sync += [some.eq(0), several.eq(0)]
        with m.Elif(self.write):
            m.d.sync += [write_at.eq(up_or_down(write_at, down)), latest.eq(write_at)]
            m.d.sync += [some.eq(1), several.eq(some)]
            with m.If(~several):
                m.d.sync += second.eq(write_at)
        with m.If(self.turn):
            m.d.sync += [read_at.eq(latest), self.last.eq(~several), self.empty.eq(0)]
        with m.Elif(self.step):
            m.d.sync += [
                read_at.eq(up_or_down(read_at, down)),
                self.last.eq(read_at == final_but_one),
                self.empty.eq(self.last),
            ]

        # Words that have been read, less those that are on their way; of no interest once all
        # have been read, since then the rest of the memory is free.
        ahead = Signal(range(depth + 1))
        with m.If(self.turn):
            m.d.sync += ahead.eq(0)
        with m.Elif(self.step ^ self.enter):
            m.d.sync += ahead.eq(up_or_down(ahead, self.enter))
        # One cycle late, so two places early.
        m.d.sync += self.room.eq(~self.turn & (self.empty | (ahead > 2)))
        return m
