"""Encoder and decoder of tiles of the coder GF2, of planes that are whole bytes."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, VALUE_PLANES
from fmzip_hw.gf2 import RANGES, WORD_PLANES, LayerEngine, SumEngine, TableWrite
from fmzip_hw.layout import beat_layout, word_layout
from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.stream import CreditFifo

PLANES = BLOCK  # that are stored, or added up, in a cycle: M must be a multiple
_BIAS_BITS = VALUE_PLANES + 1
_RANGE_BITS = _BIAS_BITS + VALUE_PLANES
_FIFO = 16
_COUNT_BITS = 32


class ValueRanges(wiring.Component):
    """Bias and clamp in front of the planes: ``u = clamp(value - lowest + bias, 0, top)``.

    A beat per cycle. Equals the first part of ``reference.gf2.planes_of``.

    Parameters
    ----------
    words : beats of a position at most, a power of two

    Members
    -------
    write : In(TableWrite), of kind 2: bias, 9 bits, and from bit 16 on top, of value ``address`` of
        a position, eight in order
    words : In, beats of a position, less 1
    is_signed : In(1), values are int8
    start : In(1), the next beat begins a position
    i : In(stream of 8 values), o : Out(stream of 64 planes)
    """

    def __init__(self, words: int) -> None:
        self._words = words
        super().__init__({
            "write": In(TableWrite),
            "words": In(range(words)),
            "is_signed": In(1),
            "start": In(1),
            "i": In(stream.Signature(data.ArrayLayout(VALUE_PLANES, BLOCK))),
            "o": Out(stream.Signature(WORD_PLANES)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ram = ram = BlockRam(_RANGE_BITS * BLOCK, self._words)
        m.submodules.fifo = fifo = CreditFifo(WORD_PLANES, _FIFO)
        wiring.connect(m, fifo.o, wiring.flipped(self.o))
        write = self.write
        gathered = Signal(data.ArrayLayout(_RANGE_BITS, BLOCK), reset_less=True)
        mine = write.en & (write.kind == RANGES)
        with m.If(mine):
            m.d.sync += gathered[write.address[:3]].eq(
                Cat(write.data[:_BIAS_BITS], write.data[16 : 16 + VALUE_PLANES])
            )
        word = Signal(range(self._words))
        step = Signal()
        m.d.comb += [
            ram.w_en.eq(register_flag(m, mine & (write.address[:3] == BLOCK - 1))),
            ram.w_addr.eq(register(m, write.address[3:])),
            ram.w_data.eq(gathered),
            ram.r_en.eq(1),
            ram.r_next.eq(1),
            ram.r_addr.eq(word),
            self.i.ready.eq(fifo.free & ~self.start),
            step.eq(self.i.valid & self.i.ready),
            fifo.reserve.eq(step),
        ]
        with m.If(self.start | (step & (word == self.words))):
            m.d.sync += word.eq(0)
        with m.Elif(step):
            m.d.sync += word.eq(word + 1)
        values = register(m, self.i.payload.as_value(), ram.latency)
        numbers = []
        for k in range(BLOCK):
            value = values.word_select(k, VALUE_PLANES)
            above = Cat(value[:-1], value[-1] ^ self.is_signed)
            of = ram.r_data.word_select(k, _RANGE_BITS)
            moved = Signal(signed(_BIAS_BITS + 2), name=f"moved{k}", reset_less=True)
            m.d.sync += moved.eq(above + of[:_BIAS_BITS].as_signed())
            top = register(m, of[_BIAS_BITS:])
            inside = Mux(moved < 0, 0, Mux(moved > top, top, moved))
            numbers.append(register(m, inside[:VALUE_PLANES]))
        m.d.comb += [
            fifo.put.eq(register_flag(m, step, ram.latency + 2)),
            fifo.payload.eq(Cat(numbers)),
        ]
        return m


class _Gather(wiring.Component):
    """Parts of 8 bits as words of 64, the first one lowest; the last word may have fewer.

    Members
    -------
    parts : In, that there are, less 1; ``start`` begins
    """

    parts: In(_COUNT_BITS)
    start: In(1)
    i: In(stream.Signature(8))
    o: Out(stream.Signature(word_layout(8)))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = Signal(data.ArrayLayout(8, BLOCK))
        place = Signal(range(BLOCK))
        left = Signal(_COUNT_BITS)
        full, last = Signal(), Signal()
        put = Signal()
        m.d.comb += [
            self.i.ready.eq(~full | self.o.ready),
            put.eq(self.i.valid & self.i.ready),
            self.o.valid.eq(full),
            self.o.payload.data.eq(word),
            self.o.payload.last.eq(last),
        ]
        with m.If(full & self.o.ready):
            m.d.sync += [full.eq(0), word.eq(0)]
        with m.If(put):
            final = left == 0
            m.d.sync += [
                word[place].eq(self.i.payload),
                place.eq(Mux(final, 0, place + 1)),
                left.eq(left - 1),
                full.eq((place == BLOCK - 1) | final),
                last.eq(final),
            ]
        with m.If(self.start):
            m.d.sync += [left.eq(self.parts), place.eq(0), full.eq(0), word.eq(0)]
        return m


class Gf2Encoder(wiring.Component):
    """A map's values to the words of its tile, without padding behind the last word.

    A position of V values and M planes takes ``V / 8 * M / 8`` cycles; both are multiples of 8.
    Equals ``reference.gf2.packed_tile`` of ``reference.gf2.planes_of``.

    Parameters
    ----------
    values, stored : of a position at most, powers of two

    Members
    -------
    write : In(TableWrite), see ``LayerEngine`` and ``ValueRanges``
    xor, is_signed : In(1)
    words, passes : In, eights of values and of planes of a position, less 1
    parts : In(32), eights of planes of the map, less 1
    start : In(1), a cycle in front of the first beat
    i : In(stream of 8 values), beats of one position after the other
    o : Out(stream of words)
    """

    def __init__(self, values: int = 64, stored: int = 256) -> None:
        self._ranges = ValueRanges(max(1, values // BLOCK))
        self._layer = LayerEngine(PLANES, VALUE_PLANES * values, stored)
        super().__init__({
            "write": In(TableWrite),
            "xor": In(1),
            "is_signed": In(1),
            "words": In(self._layer.words.shape()),
            "passes": In(self._layer.passes.shape()),
            "parts": In(_COUNT_BITS),
            "start": In(1),
            "i": In(stream.Signature(data.ArrayLayout(VALUE_PLANES, BLOCK))),
            "o": Out(stream.Signature(word_layout(8))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ranges, m.submodules.layer = ranges, layer = self._ranges, self._layer
        m.submodules.gather = gather = _Gather()
        wiring.connect(m, wiring.flipped(self.i), ranges.i)
        wiring.connect(m, ranges.o, layer.i)
        wiring.connect(m, layer.o, gather.i)
        wiring.connect(m, gather.o, wiring.flipped(self.o))
        m.d.comb += [
            ranges.write.eq(self.write),
            ranges.words.eq(self.words),
            ranges.is_signed.eq(self.is_signed),
            ranges.start.eq(self.start),
            layer.write.eq(self.write),
            layer.xor.eq(self.xor),
            layer.words.eq(self.words),
            layer.passes.eq(self.passes),
            gather.parts.eq(self.parts),
            gather.start.eq(self.start),
        ]
        return m


class Gf2Decoder(wiring.Component):
    """Words of a tile to a map's values, of decoders without a layer.

    A position of V values and M planes takes ``V * M / 8`` cycles; both are multiples of 8. Equals
    ``reference.gf2.values_of``. What is behind the last position's planes is dropped.

    Parameters
    ----------
    values, stored : of a position at most, powers of two

    Members
    -------
    write : In(TableWrite), see ``SumEngine``
    shift, is_signed : In
    words, passes : In, eights of planes, and values, of a position, less 1
    parts, beats : In(32), eights of planes, and of values, of the map, less 1
    start : In(1), a cycle in front of the first word
    i : In(stream of words), o : Out(stream of beats)
    """

    def __init__(self, values: int = 64, stored: int = 256) -> None:
        self._sums = SumEngine(PLANES, stored, values)
        super().__init__({
            "write": In(TableWrite),
            "shift": In(5),
            "is_signed": In(1),
            "words": In(self._sums.words.shape()),
            "passes": In(self._sums.passes.shape()),
            "parts": In(_COUNT_BITS),
            "beats": In(_COUNT_BITS),
            "start": In(1),
            "i": In(stream.Signature(word_layout(8))),
            "o": Out(stream.Signature(beat_layout(8))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sums = sums = self._sums
        m.submodules.gather = gather = _Gather()
        place, left, more = Signal(range(BLOCK)), Signal(_COUNT_BITS), Signal()
        took = Signal()
        m.d.comb += [
            sums.write.eq(self.write),
            sums.shift.eq(self.shift),
            sums.words.eq(self.words),
            sums.passes.eq(self.passes),
            sums.i.payload.eq(self.i.payload.data.word_select(place, PLANES)),
            sums.i.valid.eq(self.i.valid & more),
            took.eq(sums.i.valid & sums.i.ready),
            self.i.ready.eq(Mux(more, took & ((place == BLOCK - 1) | (left == 0)), 1)),
            gather.parts.eq(Cat((self.beats + 1)[:_COUNT_BITS] << 3) - 1),
            gather.start.eq(self.start),
            gather.i.payload.eq(self._value(sums.o.payload)),
            gather.i.valid.eq(sums.o.valid),
            sums.o.ready.eq(gather.i.ready),
            self.o.payload.data.eq(gather.o.payload.data),
            self.o.payload.keep.eq((1 << BLOCK) - 1),
            self.o.payload.last.eq(gather.o.payload.last),
            self.o.valid.eq(gather.o.valid),
            gather.o.ready.eq(self.o.ready),
        ]
        with m.If(took):
            m.d.sync += [place.eq(place + 1), left.eq(left - 1), more.eq(left != 0)]
        with m.If(self.start):
            m.d.sync += [place.eq(0), left.eq(self.parts), more.eq(1)]
        return m

    def _value(self, above: Value) -> Value:
        return Cat(above[:-1], above[-1] ^ self.is_signed)
