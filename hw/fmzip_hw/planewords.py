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

    ``length`` is that of the one that comes, less 1; ``ends`` says that it is its position's last,
    ``last`` that it is the frame's.
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
        self.ends = ends
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
            with m.State("idle"), m.If(self.start):  # all is 0 again behind a tile
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
                    m.d.sync += [count.eq(0), rest.eq(0)]
                    put(rest)
                with m.Else():  # the rest of a word, or a word of padding
                    m.d.sync += [full.eq(1), place.eq(0)]
        return m


class PlaneUnpacker(wiring.Component):
    """Words of a tile to its stored planes, an eight in each cycle: the inverse of ``PlanePacker``.

    Damaged words cannot stop it: where some are missing planes are 0, and others are dropped up to
    the last one.

    Parameters
    ----------
    size : how large it is built

    Members
    -------
    head, shape : In, constant from ``start`` until the last plane has left
    start : In(1), begin a tile
    i : In(stream of word_layout)
    o : Out(stream of ``size.adders`` planes), position by position; those behind a position's last
        one are any
    broken : Out(1), the tile did not end as it must; from then until the next ``start``
    """

    def __init__(self, size: PlaneSize) -> None:
        self._eights = size.adders // BLOCK
        super().__init__({
            **_members(size),
            "i": In(stream.Signature(word_layout(BLOCK))),
            "o": Out(stream.Signature(size.adders)),
            "broken": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        mask = register(m, (1 << burst_shift(self.head)) - 1)
        word, left = Signal(_WORD), Signal(range(BLOCK + 1))  # and bytes of it
        at = Signal(range(_BURST_WORDS))  # words that have come, within a burst
        first = Signal()  # the last of them began a burst
        ended = Signal()  # it was the tile's last one
        rest, count = Signal(BLOCK), Signal(range(BLOCK))  # planes of a byte that was begun
        planes = Signal(data.ArrayLayout(BLOCK, self._eights))
        place = Signal(range(max(self._eights, 2)))
        there = Signal()  # planes for ``o``
        needs, step, final, wants, taken = (Signal(name=n) for n in (
            "needs", "step", "final", "wants", "taken"))  # fmt: skip
        window = Signal(2 * BLOCK)
        eights = _Eights(m, self, step)
        length = eights.length + 1
        whole = eights.ends | (place == self._eights - 1)
        m.d.comb += [
            self.o.valid.eq(there),
            self.o.payload.eq(planes),
            taken.eq(self.i.valid & self.i.ready),
            needs.eq(count < length),
            window.eq(Mux(needs, rest | word[:BLOCK] << count, rest)),
        ]

        def see() -> None:
            """A word has come."""
            m.d.sync += [word.eq(self.i.payload.data), ended.eq(self.i.payload.last)]
            m.d.sync += [at.eq((at + 1) & mask), first.eq(at == 0), left.eq(BLOCK)]

        with m.If(self.o.ready):
            m.d.sync += there.eq(0)
        with m.FSM():
            with m.State("idle"):
                with m.If(self.start):
                    m.d.sync += [left.eq(0), at.eq(0), ended.eq(0), rest.eq(0), count.eq(0)]
                    m.d.sync += [self.broken.eq(0), place.eq(0)]
                    m.next = "planes"
            with m.State("planes"):
                m.d.comb += [
                    step.eq((~needs | (left != 0)) & (~there | self.o.ready)),
                    final.eq(step & eights.last),
                    wants.eq(((left == 0) | (step & needs & (left == 1))) & ~final),
                    self.i.ready.eq(wants & ~ended),
                ]
                with m.If(step):
                    m.d.sync += [
                        planes[place].eq(window[:BLOCK]),
                        place.eq(Mux(whole, 0, place + 1)),
                        there.eq(whole),
                        rest.eq(window >> length),
                        count.eq(count - length),  # and a byte more, modulo 8
                    ]
                    with m.If(needs):
                        m.d.sync += [word.eq(word >> BLOCK), left.eq(left - 1)]
                with m.If(taken):
                    see()
                with m.If(needs & (left == 0) & ended):
                    m.d.sync += [word.eq(0), left.eq(BLOCK), self.broken.eq(1)]
                with m.If(final):
                    m.next = "last"
            with m.State("last"):  # a byte that was begun, a word that was not
                m.d.sync += rest.eq(0)
                with m.If(rest.any() | ((left == BLOCK) & first)):
                    m.d.sync += self.broken.eq(1)
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
