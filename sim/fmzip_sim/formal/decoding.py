"""The way back: fields come out as they lie in the words, and no frame stops the parser."""

from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring

from fmzip.format import BLOCK
from fmzip_sim.formal.inner import opened, signals
from fmzip_sim.formal.streams import free, surround


class SameFields(wiring.Component):
    """Around a ``FieldUnpacker``: fields come out as they lie in the words.

    Beside it the words' bits are in one row, from which each field is taken, and behind a section
    what is left of its word. Where its words are there and its fields are taken, one comes within
    ``patience`` cycles. Induction needs the state of both.
    """

    def __init__(self, dut: Any, word_bits: int, patience: int):
        self._dut, self._word_bits, self._patience = dut, word_bits, patience
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut, size = self._dut, self._word_bits
        m.submodules.dut = inside = opened(dut)
        surround(m, dut, constant=("length",))
        own = signals(inside)
        fire, length, left = own["fire"], dut.length, Signal.like(dut.count.payload)
        row, held = Signal(2 * size), Signal(range(2 * size + 1))  # bits, and how many there are
        place = Signal(range(size))  # in the word, of the next field
        m.d.comb += Assume((length >= 1) & (length <= len(dut.o.payload)))

        put, begins = dut.i.valid & dut.i.ready, dut.count.valid & dut.count.ready
        rest = Mux(place + length > size, 2 * size, size) - place
        taken = Mux(fire, Mux(left == 1, rest[: len(held)], length), 0)
        kept, behind = (held - taken)[: len(held)], row >> taken
        m.d.sync += [
            held.eq(kept + Mux(put, size, 0)),
            row.eq(behind | Mux(put, dut.i.payload << kept, 0)),
        ]
        with m.If(begins):
            m.d.sync += [left.eq(dut.count.payload), place.eq(0)]
        with m.Elif(fire):
            m.d.sync += [left.eq(left - 1), place.eq(place + length)]
            m.d.comb += Assert((left != 0) & (taken <= held))

        # A field on its way, and the one that is offered.
        first, second = Signal.like(dut.o.payload), Signal.like(dut.o.payload)
        with m.If(own["shifted_free"]):
            m.d.sync += first.eq(row)
        with m.If(~dut.o.valid | dut.o.ready):
            m.d.sync += second.eq(first)
        mask = (1 << length) - 1
        shifted = own["coarse"] >> own["coarse_amount"]
        m.d.comb += [
            Assert(~dut.o.valid | (((dut.o.payload ^ second) & mask) == 0)),
            Assert(~own["coarse_valid"] | (((shifted ^ first) & mask) == 0)),
        ]
        waits = Signal(range(self._patience + 2))
        ready = (left != 0) & dut.i.valid & ~dut.o.valid
        m.d.sync += waits.eq(Mux(ready, waits + (waits <= self._patience), 0))
        m.d.comb += Assert(waits <= self._patience)

        there = own["word_valid"], own["following_valid"]
        position = Mux(own["busy"], own["position"], 0)[: len(place)]
        after = Mux(there[1], own["following"], 0)
        words = Mux(there[0], Cat(own["word"], after), after)
        m.d.comb += [
            Assert(own["left"] == left),
            Assert(own["busy"] == (left != 0)),
            Assert(own["last"] == (left == 1)),
            Assert(~own["busy"] | (place == position)),
            Assert(~own["busy"] | (own["after"] == place + length)),
            Assert(there[0] | (position == 0)),
            Assert(held == (there[0] + there[1]) * size - position),
            Assert(row == words >> position),
        ]
        return m


class NeverHangs(wiring.Component):
    """Around a ``FrameParser``: of any words it takes one within ``patience`` cycles, or ends.

    Words are offered and taken in every cycle.
    """

    def __init__(self, dut: Any, patience: int):
        self._dut, self._patience = dut, patience
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self._dut
        m.d.comb += Assume(~ResetSignal())
        free(m, dut, constant=("head",))
        waits = Signal(range(self._patience + 2))
        m.d.comb += [
            Assume(dut.i.valid),
            Assume(dut.o.ready),
            Assume(~dut.start | dut.done),
        ]
        still = ~dut.done & ~dut.i.ready
        m.d.sync += waits.eq(Mux(still, waits + (waits <= self._patience), 0))
        m.d.comb += Assert(waits <= self._patience)
        return m


class AlwaysEnds(wiring.Component):
    """Around a ``Decoder``: of any words it makes as many beats as the frame has, in time.

    The frame has one pixel of up to two blocks; all else of the head has any value. Words are
    offered and beats taken in every cycle, and the tile ends after ``words`` words or earlier, as
    the parser sees to.

    Parameters
    ----------
    words : of the tile, at most
    within : cycles from ``start`` to the last beat
    """

    def __init__(self, dut: Any, words: int, within: int):
        self._dut, self._words, self._within = dut, words, within
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self._dut
        free(m, dut, constant=("head",))
        head = dut.head
        cycle = Signal(range(self._within + 2))
        beats = Signal(4)
        word = Signal(range(self._words))  # of the tile
        with m.If(dut.i.valid & dut.i.ready):
            m.d.sync += word.eq(Mux(dut.i.payload.last, 0, word + 1))
        m.d.sync += cycle.eq(cycle + (cycle <= self._within))
        m.d.comb += [
            Assume(~ResetSignal()),
            Assume(dut.i.valid),
            Assume(dut.o.ready),
            Assume(dut.i.payload.last | (word != self._words - 1)),
            Assume(dut.start == (cycle == 0)),
            Assume((head.height == 1) & (head.tile_rows == 1)),
            Assume((head.width == 1) & (head.tile_cols == 1)),
            Assume((head.channels != 0) & (head.channels <= 2 * BLOCK)),
        ]
        with m.If(dut.o.valid):
            m.d.sync += beats.eq(beats + 1)
        with m.If(cycle == self._within):
            m.d.comb += Assert(beats == Mux(head.channels > BLOCK, 2, 1))
        return m
