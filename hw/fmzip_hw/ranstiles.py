"""Taking the words of a tile of the coder RANS apart, and letting its slots begin."""

from amaranth.hdl import Const, Module, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, ESCAPES_MAX, STATE_SETS
from fmzip_hw.layout import beats_per_block, word_layout
from fmzip_hw.pipeline import register_flag
from fmzip_hw.ranslanes import WORDS_PER_SET

_COUNT_BITS = ESCAPES_MAX.bit_length()
_COUNT_BYTES = 2


class TileReader(wiring.Component):
    """Sends the words of a tile where they belong, and begins slots while there are bytes.

    A slot begins only if a word is there for it, or all words of its tile are. A coded tile that
    ends too early is filled up with anything.

    Parameters
    ----------
    depth : of the FIFO in front of it
    drain : cycles from a slot until its states are written
    lanes : 2, 4 or 8; also bytes of a word

    Members
    -------
    i : In(stream of word_layout), from a FIFO
    pushed, pushed_last : In(1), a word goes into that FIFO; it is the last one of its tile
    escapes : Out(stream of 8 x lanes), the escape section of each coded tile, without whole words
        of padding
    hold, whole, begun, sets, ends, ready, step : see ``SlotSequencer``; ``ready`` is its ``valid``
    free : In(1), there is room for a slot
    raw : Out(1), mode of the current tile
    begin, load, prime, second, check, pop : see ``RansLanes``
    used : In(1), in the cycle in which ``pop`` may come for a slot
    """

    def __init__(self, depth: int, drain: int, lanes: int = BLOCK):
        self._depth, self._drain, self._lanes = depth, drain, lanes
        self._parts_log2 = exact_log2(beats_per_block(lanes))
        super().__init__({
            "i": In(stream.Signature(word_layout(lanes))),
            "pushed": In(1),
            "pushed_last": In(1),
            "escapes": Out(stream.Signature(8 * lanes)),
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
        sets = Signal(len(self.sets) + self._parts_log2)
        empty = Signal(self._parts_log2)  # words at the end of the section that are all padding
        padding = left <= empty if self._parts_log2 else Const(0)
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
                words = (count + (_COUNT_BYTES + BLOCK - 1)) >> exact_log2(BLOCK)
                filled = (count + (_COUNT_BYTES + self._lanes - 1)) >> exact_log2(self._lanes)
                m.d.sync += [
                    empty.eq(-filled),
                    left.eq(words << self._parts_log2),
                    sets.eq(self.sets << self._parts_log2),
                ]
                m.next = "escapes"
                with m.If(self.raw):
                    m.next = "prime"
            with m.State("escapes"):
                ready = self.escapes.ready | padding
                m.d.comb += [self.escapes.valid.eq(got & ~padding), take.eq(ready)]
                with m.If(got & ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.d.sync += left.eq(sets * WORDS_PER_SET)
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
