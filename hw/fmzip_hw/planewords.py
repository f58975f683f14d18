"""Stored planes of positions into the words of a tile, and back, bit behind bit."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, SECTION_BYTES
from fmzip_hw.frameindex import burst_shift
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.pipeline import register
from fmzip_hw.planeshape import PlanePositions, shape_layout
from fmzip_hw.planesize import PlaneSize

_WORD = 8 * SECTION_BYTES
_BURST_WORDS = 32


def _members(size: PlaneSize) -> dict[str, Any]:
    return {"head": In(HeadLayout), "shape": In(shape_layout(size)), "start": In(1)}


class _Eights:
    """Counts the eights of planes of all positions.

    ``length`` is that of the one that comes, less 1; ``last`` says that it is the frame's last.
    """

    def __init__(self, m: Module, of: Any, step: Value) -> None:
        m.submodules.positions = positions = PlanePositions()
        number = Signal.like(of.shape.passes)
        ends = Signal()
        m.d.comb += [
            positions.cols.eq(of.shape.cols),
            positions.rows.eq(of.shape.rows),
            positions.start.eq(of.start),
            positions.step.eq(step & ends),
            ends.eq(number == of.shape.passes),
        ]
        with m.If(step):
            m.d.sync += number.eq(Mux(ends, 0, number + 1))
        with m.If(of.start):
            m.d.sync += number.eq(0)
        self.length = Mux(ends, of.shape.final, BLOCK - 1)
        self.last = ends & positions.last


class PlanePacker(wiring.Component):
    """Stored planes to the words of a tile, padded to the burst. An eight of planes per cycle.

    Equals ``reference.gf2.packed_tile`` and the padding behind it.

    Parameters
    ----------
    size : how large it is built

    Members
    -------
    head, shape : In, constant from ``start`` until the last word has left
    start : In(1), begin a tile
    i : In(stream of 8 planes), position by position; those behind a position's last one are 0
    o : Out(stream of word_layout)
    """

    def __init__(self, size: PlaneSize) -> None:
        super().__init__({
            **_members(size),
            "i": In(stream.Signature(BLOCK)),
            "o": Out(stream.Signature(word_layout(BLOCK))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        mask = register(m, (1 << burst_shift(self.head)) - 1)
        take, moved = Signal(), Signal()
        eights = _Eights(m, self, take)
        rest, count = Signal(BLOCK), Signal(range(BLOCK))  # planes that are no whole byte yet
        word = Signal(data.ArrayLayout(8, BLOCK))
        place = Signal(range(BLOCK))
        full = Signal()
        at = Signal(range(_BURST_WORDS))  # words that have left, within a burst
        merged = Signal(2 * BLOCK)
        after = Signal(range(2 * BLOCK))
        m.d.comb += [
            moved.eq(self.o.valid & self.o.ready),
            merged.eq(rest | self.i.payload << count),
            after.eq(count + eights.length + 1),
            self.o.valid.eq(full),
            self.o.payload.data.eq(word),
        ]
        with m.If(moved):
            m.d.sync += [full.eq(0), word.eq(0), at.eq((at + 1) & mask)]

        def put(byte: Value) -> None:
            m.d.sync += [word[place].eq(byte), place.eq(place + 1)]
            with m.If(place == BLOCK - 1):
                m.d.sync += full.eq(1)

        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.sync += [rest.eq(0), count.eq(0), place.eq(0), full.eq(0), word.eq(0), at.eq(0)]
                m.next = "planes"
            with m.State("planes"):
                m.d.comb += [
                    self.i.ready.eq(~full | self.o.ready),
                    take.eq(self.i.valid & self.i.ready),
                ]
                with m.If(take):
                    m.d.sync += [rest.eq(merged), count.eq(after)]
                    with m.If(after[-1]):
                        m.d.sync += rest.eq(merged >> BLOCK)
                        put(merged[:BLOCK])
                    with m.If(eights.last):
                        m.next = "rest"
            with m.State("rest"):
                # A word that is still there is the last one if nothing follows it.
                whole = (count == 0) & (place == 0)
                m.d.comb += self.o.payload.last.eq(whole & (at == mask))
                with m.If(full):
                    with m.If(self.o.ready & self.o.payload.last):
                        m.next = "idle"
                with m.Elif(count != 0):
                    m.d.sync += count.eq(0)
                    put(rest)
                with m.Else():  # the rest of a word, or a word of padding
                    m.d.sync += [full.eq(1), place.eq(0)]
        return m


class PlaneUnpacker(wiring.Component):
    """Words of a tile to its stored planes, a plane per cycle: the inverse of ``PlanePacker``.

    An eight of planes is wanted for each of a position's values, of which there are 8 or more, so
    a plane per cycle is enough. Damaged words cannot stop it: where some are missing planes are 0,
    and others are dropped up to the last one.

    Parameters
    ----------
    size : how large it is built

    Members
    -------
    head, shape : In, constant from ``start`` until the last plane has left
    start : In(1), begin a tile
    i : In(stream of word_layout)
    o : Out(stream of 8 planes), position by position; those behind a position's last one are any
    broken : Out(1), the tile did not end as it must; from then until the next ``start``
    """

    def __init__(self, size: PlaneSize) -> None:
        super().__init__({
            **_members(size),
            "i": In(stream.Signature(word_layout(BLOCK))),
            "o": Out(stream.Signature(BLOCK)),
            "broken": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        mask = register(m, (1 << burst_shift(self.head)) - 1)
        word = Signal(_WORD)
        left = Signal(range(_WORD + 1))  # planes in it
        one_left, none_left = Signal(), Signal(init=1)
        at = Signal(range(_BURST_WORDS))  # words that have come, within a burst
        ended = Signal()  # the last one has
        part, number = Signal(BLOCK), Signal(range(BLOCK))
        there = Signal()  # an eight of planes
        shift, ends, wants, taken = Signal(), Signal(), Signal(), Signal()
        eights = _Eights(m, self, ends)
        m.d.comb += [
            self.o.valid.eq(there),
            self.o.payload.eq(part),
            taken.eq(self.i.valid & self.i.ready),
        ]

        def see() -> None:
            """A word has come."""
            m.d.sync += [word.eq(self.i.payload.data), ended.eq(self.i.payload.last)]
            m.d.sync += at.eq((at + 1) & mask)

        with m.If(self.o.ready):
            m.d.sync += there.eq(0)
        with m.FSM():
            with m.State("idle"):
                with m.If(self.start):
                    m.d.sync += [none_left.eq(1), one_left.eq(0), at.eq(0), ended.eq(0)]
                    m.d.sync += [self.broken.eq(0), number.eq(0), there.eq(0)]
                    m.next = "planes"
            with m.State("planes"):
                m.d.comb += [
                    shift.eq(~none_left & (~there | self.o.ready)),
                    ends.eq(shift & (number == eights.length)),
                    wants.eq(none_left | (shift & one_left & ~(ends & eights.last))),
                    self.i.ready.eq(wants & ~ended),
                ]
                with m.If(shift):
                    m.d.sync += [part.bit_select(number, 1).eq(word[0]), word.eq(word >> 1)]
                    m.d.sync += [left.eq(left - 1), one_left.eq(left == 2), none_left.eq(one_left)]
                    m.d.sync += number.eq(Mux(ends, 0, number + 1))
                with m.If(ends):
                    m.d.sync += there.eq(1)
                with m.If(taken):
                    see()
                with m.If(wants & ended):
                    m.d.sync += [word.eq(0), self.broken.eq(1)]
                with m.If(taken | (wants & ended)):
                    m.d.sync += [left.eq(_WORD), one_left.eq(0), none_left.eq(0)]
                with m.If(ends & eights.last):
                    m.next = "rest"
            with m.State("rest"):
                # What is left of the word, and words of padding, must be 0, and end with a burst.
                m.d.comb += self.i.ready.eq(~ended)
                with m.If(word.any()):
                    m.d.sync += self.broken.eq(1)
                with m.If(ended):
                    m.next = "idle"
                with m.If(taken):
                    see()
                    with m.If(at == 0):
                        m.d.sync += self.broken.eq(1)
        return m
