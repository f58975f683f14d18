"""Binary layers and sums of the coder GF2: masks and integers in block RAM, an AND and a count."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import PROJECTION_BITS, SUM_BITS, THRESHOLD_BITS
from fmzip.regs import PlaneKind
from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register
from fmzip_hw.planepasses import PlanePasses, flags_later
from fmzip_hw.popcount import count_ones
from fmzip_hw.projecttables import ProjectionWrite, write_of
from fmzip_hw.stream import CreditFifo

WORD_PLANES = 64  # of a position that a layer reads in a cycle
PART_BITS = 32  # that are written at once
_PARTS = 2 * WORD_PLANES // PART_BITS  # of a row's word: weights that are 1, then those that are -1
_TOTAL = signed(THRESHOLD_BITS + 1)
_OFFSET_BITS = 32
_FIFO = 32


def _tree(m: Module, terms: Sequence[Value], every: int) -> tuple[Value, int]:
    """Sum of terms in a binary tree, with registers behind every so many levels; its cycles."""
    level, cycles = 0, 0
    while len(terms) > 1:
        level += 1
        terms = [
            a + b if b is not None else a
            for a, b in zip(terms[0::2], [*terms[1::2], *[None] * (len(terms) % 2)], strict=True)
        ]
        if level % every == 0 or len(terms) == 1:
            terms, cycles = [register(m, t) for t in terms], cycles + 1
    return terms[0], cycles


class LayerEngine(wiring.Component):
    """A binary layer: planes of one position after the other, R planes of the result at once.

    A position with I planes and O of the result takes ``ceil(I / 64) * ceil(O / R)`` cycles, and
    positions follow each other without a gap. Under backpressure 32 results wait. Equals
    ``reference.gf2.through``; inputs behind a position's last plane have the weight 0, and
    so have results behind the last one, which a reader drops.

    Parameters
    ----------
    rows : R, planes of the result that are made together, a power of two
    inputs, outputs : planes at most, powers of two

    Members
    -------
    write : In(ProjectionWrite). WEIGHTS: a part of 32 weights, part 0 and 1 those that are 1, 2
        and 3 those that are -1, of row r in word w of pass p:
        ``address = ((p * words + w) * R + r) * 4 + part``, all four in order.
        THRESHOLDS: that of result ``address``; over GF(2) what is added
    xor : In(1), the rule is XOR; constant while there are positions
    words, passes : In, words of 64 planes, and passes of R results, of a position, less 1
    i : In(stream of 64 planes), o : Out(stream of R planes)
    """

    def __init__(self, rows: int, inputs: int, outputs: int) -> None:
        self._rows = rows
        self._words = max(1, inputs // WORD_PLANES)
        self._passes = max(1, outputs // rows)
        exact_log2(rows)
        super().__init__({
            "write": In(ProjectionWrite),
            "xor": In(1),
            "words": In(range(self._words)),
            "passes": In(range(self._passes)),
            "i": In(stream.Signature(WORD_PLANES)),
            "o": Out(stream.Signature(rows)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        passes, fifo = _between(m, self, PlanePasses(WORD_PLANES, self._words, self._passes))
        made, cycles = [], 0
        gathered, part, row, word = self._gather(m)
        late = Signal.like(passes.number)  # a threshold is read when its sum is there
        for k in range(self._rows):
            weights = BlockRam(2 * WORD_PLANES, self._words * self._passes)
            thresholds = BlockRam(THRESHOLD_BITS, self._passes)
            m.submodules[f"weights{k}"] = weights
            m.submodules[f"thresholds{k}"] = thresholds
            mine = write_of(self.write, PlaneKind.THRESHOLDS) & self._is_row(self.write.address, k)
            m.d.comb += [
                weights.w_en.eq(part & (row == k)),
                weights.w_addr.eq(word),
                weights.w_data.eq(gathered),
                weights.r_addr.eq(passes.address),
                thresholds.w_en.eq(mine),
                thresholds.w_addr.eq(self.write.address >> exact_log2(self._rows)),
                thresholds.w_data.eq(self.write.data),
                thresholds.r_addr.eq(late),
            ]
            for ram in (weights, thresholds):
                m.d.comb += [ram.r_en.eq(1), ram.r_next.eq(1)]
            total, cycles = self._count(m, passes, weights.r_data)
            limit = thresholds.r_data.as_signed()
            made.append(register(m, Mux(self.xor, total[0] ^ limit[0], total >= limit)))
        # The limit is there with the sum.
        m.d.comb += late.eq(register(m, passes.number, passes.latency + cycles - BlockRam.latency))
        _, _, done = flags_later(m, passes, passes.latency + cycles + 1)
        m.d.comb += [fifo.put.eq(done), fifo.payload.eq(Cat(made))]
        return m

    def _is_row(self, address: Value, k: int) -> Value:
        bits = exact_log2(self._rows)
        return address[:bits] == k if bits else Const(1)

    def _gather(self, m: Module) -> tuple[Value, Value, Value, Value]:
        """Parts of a row's word, and when it is whole: its row and number."""
        write = self.write
        part_bits, row_bits = exact_log2(_PARTS), exact_log2(self._rows)
        parts = Signal(data.ArrayLayout(PART_BITS, _PARTS), reset_less=True)
        whole = Signal()
        part = write.address[:part_bits]
        with m.If(write.en):
            m.d.sync += parts[part].eq(write.data)
        m.d.sync += whole.eq(write_of(write, PlaneKind.WEIGHTS) & (part == _PARTS - 1))
        row = register(m, write.address[part_bits : part_bits + row_bits])
        return parts.as_value(), whole, row, register(m, write.address[part_bits + row_bits :])

    def _count(self, m: Module, passes: PlanePasses, weights: Value) -> tuple[Value, int]:
        """The sum behind the last word of its pass, and its cycles behind the word."""
        plus, minus = weights[:WORD_PLANES], weights[WORD_PLANES:]
        # Ones of weight 1, and all but those of weight -1: less a word's planes that is the sum.
        masked = register(m, Cat(passes.o & plus, ~(passes.o & minus)))
        ones, levels = count_ones(m, list(masked))
        count = register(m, ones - WORD_PLANES)
        cycles = 2 + levels
        valid, first, _ = flags_later(m, passes, passes.latency + cycles)
        total = Signal(_TOTAL, reset_less=True)
        with m.If(valid):
            m.d.sync += total.eq(Mux(first, 0, total) + count)
        return total, cycles + 1


def _between(m: Module, engine: Any, passes: PlanePasses) -> tuple[PlanePasses, CreditFifo]:
    """What an engine's words come from, and the FIFO that its results go to."""
    m.submodules.passes = passes
    m.submodules.fifo = fifo = CreditFifo(engine.o.payload.shape(), _FIFO)
    wiring.connect(m, wiring.flipped(engine.i), passes.i)
    wiring.connect(m, fifo.o, wiring.flipped(engine.o))
    m.d.comb += [
        passes.words.eq(engine.words),
        passes.passes.eq(engine.passes),
        passes.go.eq(fifo.free),
        fifo.reserve.eq(passes.valid & passes.last),
    ]
    return passes, fifo


class SumEngine(wiring.Component):
    """Values of planes: integers are added up where planes are 1, A of them in a cycle.

    A position of M planes and V values takes ``V * ceil(M / A)`` cycles, and positions follow each
    other without a gap. Under backpressure 32 values wait. Equals the sums of
    ``reference.gf2.values_of`` of rule 0, before the lowest value is added; integers of planes
    behind the last one are 0.

    Parameters
    ----------
    planes : A, a power of two, 2 at least
    stored, values : of a position at most, powers of two

    Members
    -------
    write : In(ProjectionWrite). INTEGERS: two of 12 bits, in bits 0 to 11 and 16 to 27,
        of planes 2 k and 2 k + 1 of word w of value v:
        ``address = (v * words + w) * A / 2 + k``, all of a word in order. OFFSETS:
        that of value ``address``
    shift : In(5), constant while there are positions
    words, passes : In, words of A planes, and values, of a position, less 1
    i : In(stream of A planes), o : Out(stream of a value, 0 to 255)
    """

    def __init__(self, planes: int, stored: int, values: int) -> None:
        if planes < 2:
            raise ValueError(f"planes must be 2 at least, not {planes}")
        self._planes, self._words, self._values = planes, max(1, stored // planes), values
        exact_log2(planes)
        super().__init__({
            "write": In(ProjectionWrite),
            "shift": In(5),
            "words": In(range(self._words)),
            "passes": In(range(values)),
            "i": In(stream.Signature(planes)),
            "o": Out(stream.Signature(8)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        passes, fifo = _between(m, self, PlanePasses(self._planes, self._words, self._values))
        integers, offset, late = self._tables(m)
        m.d.comb += integers.r_addr.eq(passes.address)
        terms = []
        for k in range(self._planes):
            integer = integers.r_data.word_select(k, PROJECTION_BITS).as_signed()
            terms.append(register(m, Mux(passes.o[k], integer, 0)))
        some, levels = _tree(m, terms, 2)
        cycles = 1 + levels
        valid, first, _ = flags_later(m, passes, passes.latency + cycles)
        total = Signal(signed(SUM_BITS), reset_less=True)
        with m.If(valid):
            m.d.sync += total.eq(Mux(first, 0, total) + some)
        shifted = Signal(signed(SUM_BITS), reset_less=True)
        wide = Signal(signed(SUM_BITS), reset_less=True)
        # An offset is there with its sum.
        m.d.comb += late.eq(
            register(m, passes.number, passes.latency + cycles + 1 - BlockRam.latency)
        )
        m.d.sync += [wide.eq(total + offset.as_signed()), shifted.eq(wide >> self.shift)]
        value = register(m, Mux(shifted < 0, 0, Mux(shifted > 255, 255, shifted))[:8])
        _, _, done = flags_later(m, passes, passes.latency + cycles + 4)
        m.d.comb += [fifo.put.eq(done), fifo.payload.eq(value)]
        return m

    def _tables(self, m: Module) -> tuple[BlockRam, Value, Signal]:
        """Memory of the integers; an offset, and the number of its value."""
        late = Signal(range(self._values))
        write, pairs = self.write, self._planes // 2
        m.submodules.integers = integers = BlockRam(
            PROJECTION_BITS * self._planes, self._words * self._values
        )
        m.submodules.offsets = offsets = BlockRam(_OFFSET_BITS, self._values)
        bits = exact_log2(pairs)
        gathered = Signal(data.ArrayLayout(2 * PROJECTION_BITS, pairs), reset_less=True)
        last = (write.address[:bits] == pairs - 1) if bits else 1
        here = gathered[write.address[:bits]] if bits else gathered[0]
        with m.If(write_of(write, PlaneKind.INTEGERS)):
            m.d.sync += here.eq(
                Cat(write.data[:PROJECTION_BITS], write.data[16 : 16 + PROJECTION_BITS])
            )
        whole = Signal()
        m.d.sync += whole.eq(write_of(write, PlaneKind.INTEGERS) & last)
        m.d.comb += [
            integers.w_en.eq(whole),
            integers.w_addr.eq(register(m, write.address[bits:])),
            integers.w_data.eq(gathered),
            offsets.w_en.eq(write_of(write, PlaneKind.OFFSETS)),
            offsets.w_addr.eq(write.address),
            offsets.w_data.eq(write.data),
            offsets.r_addr.eq(late),
        ]
        for ram in (integers, offsets):
            m.d.comb += [ram.r_en.eq(1), ram.r_next.eq(1)]
        return integers, offsets.r_data, late
