"""Positions of bit planes, gone through again and again: for each output, all their words."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register, register_flag


class PlanePasses(wiring.Component):
    """Takes the words of a position, and gives them once for each pass, a word in each cycle.

    A position takes ``words * passes`` cycles, without a gap between positions, since the words of
    the next one are taken meanwhile. The last word of a pass is given only while ``go`` is high.

    Parameters
    ----------
    width : bits of a word
    words : of a position at most, a power of two
    passes : at most, a power of two

    Members
    -------
    words, passes : In, of a position, less 1; constant while there are positions
    i : In(stream of words), of one position after the other
    go : In(1), there is a place for what a pass gives
    valid : Out(1), ``address`` is that of a word; the word comes ``latency`` cycles later
    address : Out, number of the word, counted through all passes of a position
    first, last : Out(1), with ``valid``: it is the first, or the last word of its pass
    number : Out, of the pass
    o : Out(width), the word
    """

    latency = BlockRam.latency

    def __init__(self, width: int, words: int, passes: int) -> None:
        self._width, self._words, self._passes = width, words, passes
        exact_log2(words)
        exact_log2(passes)
        super().__init__({
            "words": In(range(words)),
            "passes": In(range(passes)),
            "i": In(stream.Signature(width)),
            "go": In(1),
            "valid": Out(1),
            "address": Out(range(words * passes)),
            "first": Out(1),
            "last": Out(1),
            "number": Out(range(passes)),
            "o": Out(width),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ram = ram = BlockRam(self._width, 2 * self._words)
        filled = Signal(range(self._words))
        word, number = Signal(range(self._words)), Signal(range(self._passes))
        address = Signal.like(self.address)
        full = Signal(2)
        w_page, r_page = Signal(), Signal()
        put = Signal()
        ends, done, took = Signal(), Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(~full.bit_select(w_page, 1)),
            put.eq(self.i.valid & self.i.ready),
            ram.w_en.eq(put),
            ram.w_addr.eq(Cat(filled, w_page)),
            ram.w_data.eq(self.i.payload),
            ram.r_en.eq(1),
            ram.r_next.eq(1),
            ram.r_addr.eq(Cat(word, r_page)),
            ends.eq(word == self.words),
            self.valid.eq(full.bit_select(r_page, 1) & (~ends | self.go)),
            self.address.eq(address),
            self.first.eq(word == 0),
            self.last.eq(ends),
            self.number.eq(number),
            self.o.eq(ram.r_data),
            done.eq(self.valid & ends & (number == self.passes)),
            took.eq(put & (filled == self.words)),
        ]
        with m.If(put):
            m.d.sync += filled.eq(Mux(took, 0, filled + 1))
        with m.If(took):
            m.d.sync += w_page.eq(~w_page)
        with m.If(self.valid):
            m.d.sync += [word.eq(Mux(ends, 0, word + 1)), address.eq(Mux(done, 0, address + 1))]
            with m.If(ends):
                m.d.sync += number.eq(Mux(done, 0, number + 1))
        with m.If(done):
            m.d.sync += r_page.eq(~r_page)
        for k in range(2):
            with m.If(took & (w_page == k)):
                m.d.sync += full[k].eq(1)
            with m.Elif(done & (r_page == k)):
                m.d.sync += full[k].eq(0)
        return m


def flags_later(m: Module, passes: PlanePasses, cycles: int) -> tuple[Signal, Signal, Signal]:
    """``valid``, ``first`` and ``valid & last`` so many cycles later."""
    return (
        register_flag(m, passes.valid, cycles),
        register(m, passes.first, cycles),
        register_flag(m, passes.valid & passes.last, cycles),
    )
