"""Taking the words of a tile of the coder RANS apart, and letting its slots begin."""

from amaranth.hdl import Module, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, ESCAPES_MAX, STATE_SETS
from fmzip_hw.bytering import WORD
from fmzip_hw.layout import word_layout
from fmzip_hw.pipeline import register_flag

_COUNT_BITS = ESCAPES_MAX.bit_length()
_COUNT_BYTES = 2
_WORDS_PER_SET = 2


class TileReader(wiring.Component):
    """Sends the words of a tile where they belong, and begins slots while there are bytes.

    A slot begins only if a word is there for it, or all words of its tile are. A coded tile that
    ends too early is filled up with anything.

    Parameters
    ----------
    depth : of the FIFO in front of it
    drain : cycles from a slot until its states are written

    Members
    -------
    i : In(stream of word_layout), from a FIFO
    pushed, pushed_last : In(1), a word goes into that FIFO; it is the last one of its tile
    escapes : Out(stream of 64), the escape section of each coded tile
    hold, whole, begun, sets, ends, ready, step : see ``SlotSequencer``; ``ready`` is its ``valid``
    free : In(1), there is room for a slot
    raw : Out(1), mode of the current tile
    begin, load, prime, second, check, pop : see ``RansLanes``
    used : In(1), in the cycle in which ``pop`` may come for a slot
    """

    def __init__(self, depth: int, drain: int):
        self._depth, self._drain = depth, drain
        super().__init__({
            "i": In(stream.Signature(word_layout(BLOCK))),
            "pushed": In(1),
            "pushed_last": In(1),
            "escapes": Out(stream.Signature(WORD)),
            "hold": Out(1),
            "whole": Out(1),
            "begun": In(1),
            "sets": In(range(STATE_SETS + 1)),
            "ends": In(1),
            "ready": In(1),
            "step": Out(1),
            "free": In(1),
            "raw": Out(1),
            "begin": Out(1),
            "load": Out(1),
            "prime": Out(1),
            "second": Out(1),
            "check": Out(1),
            "pop": In(1),
            "used": In(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self.i.payload
        ended = Signal()  # the tile's last word has been taken
        got = ended | self.i.valid  # beyond the end, a word is whatever the input shows
        take, taken = Signal(), Signal()
        over = Signal()  # all states of the tile are back
        left = Signal(_COUNT_BITS)  # words of the section, or cycles
        sets = Signal.like(self.sets)
        supplied = self._supply(m, taken, ended)
        m.d.comb += [
            self.escapes.payload.eq(word.data),
            self.hold.eq(1),
            self.whole.eq(word.raw),
            self.i.ready.eq((take | self.pop) & ~ended),
            taken.eq(self.i.valid & self.i.ready),
        ]
        with m.If(taken & word.last):
            m.d.sync += ended.eq(1)
        with m.FSM():
            with m.State("tile"):
                m.d.comb += self.hold.eq(~self.i.valid)
                m.d.sync += [self.raw.eq(word.raw), ended.eq(0)]
                with m.If(self.begun):
                    m.next = "begin"
            with m.State("begin"):
                count = word.data[:_COUNT_BITS]
                m.d.sync += [
                    left.eq((count + (_COUNT_BYTES + BLOCK - 1)) >> exact_log2(BLOCK)),
                    sets.eq(self.sets),
                ]
                m.next = "escapes"
                with m.If(self.raw):
                    m.next = "prime"
            with m.State("escapes"):
                m.d.comb += [self.escapes.valid.eq(got), take.eq(self.escapes.ready)]
                with m.If(got & self.escapes.ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.d.sync += left.eq(sets * _WORDS_PER_SET)
                        m.next = "states"
            with m.State("states"):
                m.d.comb += [take.eq(1), self.load.eq(got)]
                with m.If(got):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.next = "prime"
            with m.State("prime"):
                m.d.comb += [self.prime.eq(got & ~self.check)]
                with m.If(self.prime):
                    m.next = "first"
            with m.State("first"):  # the ring takes it
                m.next = "again"
            with m.State("again"):
                m.d.comb += [self.prime.eq(got), self.second.eq(1)]
                with m.If(got):
                    m.next = "second"
            with m.State("second"):  # and all states are in their places
                m.d.comb += self.begin.eq(1)
                m.next = "slots"
            with m.State("slots"):
                m.d.comb += self.step.eq(self.ready & self.free & supplied)
                m.d.sync += left.eq(self._drain)
                with m.If(self.step & self.ends):
                    m.next = "drain"
            with m.State("drain"):
                m.d.sync += left.eq(left - 1)
                with m.If(left == 1):
                    m.d.comb += [self.begin.eq(1), over.eq(1)]
                    m.next = "skip"
            with m.State("skip"):
                m.d.comb += take.eq(1)
                with m.If(ended):
                    m.next = "tile"
        self._check(m, over, sets)
        return m

    def _check(self, m: Module, start: Value, sets: Value) -> None:
        """Look at all states of a coded tile, while the next one begins."""
        left = Signal.like(sets)
        with m.If(start & ~self.raw):
            m.d.sync += [self.check.eq(1), left.eq(sets)]
        with m.Elif(self.check):
            m.d.sync += [left.eq(left - 1), self.check.eq(left != 1)]

    def _supply(self, m: Module, taken: Value, ended: Value) -> Value:
        """Whether a slot may begin: there is a word for it that no other slot will want."""
        spare = Signal(signed((2 * self._depth).bit_length() + 1))  # words without a slot
        change = Signal(signed(3))
        lasts = Signal(range(self._depth + 3))  # words that end their tile
        m.d.sync += [
            change.eq((self.pushed + self.used) - (taken + self.step)),
            spare.eq(spare + change),
        ]
        added, gone = self.pushed & self.pushed_last, taken & self.i.payload.last
        with m.If(added & ~gone):
            m.d.sync += lasts.eq(lasts + 1)
        with m.Elif(gone & ~added):
            m.d.sync += lasts.eq(lasts - 1)
        # Three cycles late, and a step may come in each of them.
        return register_flag(m, (spare > 4) | (lasts != 0) | ended)
