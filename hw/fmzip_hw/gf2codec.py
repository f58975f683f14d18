"""Encoder and decoder of the coder GF2: values in wire order to the words of a tile, and back."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, VALUE_PLANES, Dtype
from fmzip.regs import PlaneKind
from fmzip_hw.gf2 import WORD_PLANES, LayerEngine, SumEngine
from fmzip_hw.layout import HeadLayout, beat_layout, word_layout
from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.planeshape import PlanePositions, PlaneShape, shape_layout
from fmzip_hw.planesize import PlaneSize
from fmzip_hw.planewords import PlanePacker, PlaneUnpacker
from fmzip_hw.positions import WORD
from fmzip_hw.projecttables import ProjectionWrite, write_of
from fmzip_hw.stream import CreditFifo

PLANES = BLOCK  # that are made in a cycle
_BIAS_BITS = VALUE_PLANES + 1
_RANGE_BITS = _BIAS_BITS + VALUE_PLANES
_SHIFT_BITS = 5
_FIFO = 16


class ValueRanges(wiring.Component):
    """Bias and clamp in front of the planes: ``u = clamp(value - lowest + bias, 0, top)``.

    A beat per cycle. Equals the first part of ``reference.gf2.planes_of``.

    Parameters
    ----------
    words : beats of a position at most, a power of two

    Members
    -------
    write : In(ProjectionWrite). RANGES: bias, 9 bits, and from bit 16 on top, of value ``address``
        of a position, eight in order
    words : In, beats of a position, less 1
    is_signed : In(1), values are int8
    start : In(1), the next beat begins a position
    i : In(stream of 8 values), o : Out(stream of 64 planes)
    """

    def __init__(self, words: int) -> None:
        self._words = words
        super().__init__({
            "write": In(ProjectionWrite),
            "words": In(range(words)),
            "is_signed": In(1),
            "start": In(1),
            "i": In(stream.Signature(WORD)),
            "o": Out(stream.Signature(WORD_PLANES)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ram = ram = BlockRam(_RANGE_BITS * BLOCK, self._words)
        m.submodules.fifo = fifo = CreditFifo(WORD_PLANES, _FIFO)
        wiring.connect(m, fifo.o, wiring.flipped(self.o))
        write = self.write
        gathered = Signal(data.ArrayLayout(_RANGE_BITS, BLOCK), reset_less=True)
        mine = write_of(write, PlaneKind.RANGES)
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
        values = register(m, self.i.payload, ram.latency)
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


class BeatWalker(wiring.Component):
    """Walks over the beats of a frame, position by position.

    Parameters
    ----------
    size : how large it is built

    Members
    -------
    shape : In, constant from ``start`` on
    start : In(1), begin a frame
    step : In(1), the beat is done; only while not ``done``
    values : Out, how many lanes of the beat are values
    last : Out(1), it is the frame's last one
    done : Out(1), no frame is under way
    """

    def __init__(self, size: PlaneSize) -> None:
        super().__init__({
            "shape": In(shape_layout(size)),
            "start": In(1),
            "step": In(1),
            "values": Out(range(BLOCK + 1)),
            "last": Out(1),
            "done": Out(1, init=1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.positions = positions = PlanePositions()
        shape = self.shape
        group, pixel = Signal.like(shape.groups), Signal.like(shape.pixels)
        last_group, last_pixel = Signal(), Signal()
        m.d.comb += [
            last_group.eq(group == shape.groups),
            last_pixel.eq(pixel == shape.pixels),
            positions.cols.eq(shape.cols),
            positions.rows.eq(shape.rows),
            positions.start.eq(self.start),
            positions.step.eq(self.step & last_group & last_pixel),
            self.last.eq(last_group & last_pixel & positions.last),
            self.values.eq(Mux(last_group & shape.tail.any(), shape.tail, BLOCK)),
        ]
        with m.If(self.step):
            m.d.sync += group.eq(Mux(last_group, 0, group + 1))
            with m.If(last_group):
                m.d.sync += pixel.eq(Mux(last_pixel, 0, pixel + 1))
            with m.If(self.last):
                m.d.sync += self.done.eq(1)
        with m.If(self.start):
            m.d.sync += [group.eq(0), pixel.eq(0), self.done.eq(0)]
        return m


class Gf2Encoder(wiring.Component):
    """Codes a feature map: the tile of ``fmzip.reference.gf2frame``.

    A position of B beats and M planes takes ``B * ceil(M / 8)`` cycles, or as long as its beats
    take to come; there is no gap between positions. Weights of values that a pixel's last beat
    lacks are 0. All numbers stay until others are written.

    Parameters
    ----------
    size : how large it is built

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until the last word has left
    write : In(ProjectionWrite), see ``LayerEngine`` and ``ValueRanges``; RULE: bit 0 is 1 for XOR.
        While no frame is in work
    start : In(1), begin a frame; only while ``done``
    i : In(stream of 8 x 8), values in wire order, position by position; a pixel's last beat may
        have fewer values. Pixels that a position lacks are there, too: copies of others
    take : Out, how many lanes of the next beat are values; the others are ignored
    o : Out(stream of word_layout), the words of the tile, padded to the burst
    done : Out(1), all values of the frame have been taken
    """

    lanes = BLOCK

    def __init__(self, size: PlaneSize) -> None:
        self._shape, self._walker = PlaneShape(size), BeatWalker(size)
        self._ranges = ValueRanges(size.values // BLOCK)
        self._layer = LayerEngine(PLANES, VALUE_PLANES * size.values, size.stored)
        self._packer = PlanePacker(size)
        super().__init__({
            "head": In(HeadLayout),
            "write": In(ProjectionWrite),
            "start": In(1),
            "i": In(stream.Signature(WORD)),
            "take": Out(range(BLOCK + 1)),
            "o": Out(stream.Signature(word_layout(BLOCK))),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.shape, m.submodules.walker = shape, walker = self._shape, self._walker
        m.submodules.ranges, m.submodules.layer = ranges, layer = self._ranges, self._layer
        m.submodules.packer = packer = self._packer
        wiring.connect(m, ranges.o, layer.i)
        wiring.connect(m, layer.o, packer.i)
        wiring.connect(m, packer.o, wiring.flipped(self.o))
        xor = Signal(reset_less=True)  # a reset between frames must not change it
        with m.If(write_of(self.write, PlaneKind.RULE)):
            m.d.sync += xor.eq(self.write.data)
        for part in (walker, packer):
            m.d.comb += [part.shape.eq(shape.o), part.start.eq(shape.begin)]
        for part in (ranges, layer):
            m.d.comb += [part.write.eq(self.write), part.words.eq(shape.o.words)]
        m.d.comb += [
            shape.head.eq(self.head),
            shape.start.eq(self.start),
            packer.head.eq(self.head),
            ranges.start.eq(shape.begin),
            ranges.is_signed.eq(register(m, self.head.dtype == Dtype.INT8)),
            ranges.i.payload.eq(self.i.payload),
            ranges.i.valid.eq(self.i.valid & ~walker.done),
            self.i.ready.eq(ranges.i.ready & ~walker.done),
            walker.step.eq(self.i.valid & self.i.ready),
            self.take.eq(walker.values),
            self.done.eq(walker.done & ~shape.pending),
            layer.xor.eq(xor),
            layer.passes.eq(shape.o.passes),
        ]
        return m


class Gf2Decoder(wiring.Component):
    """Decodes a feature map: the tile of ``fmzip.reference.gf2frame``, without a layer.

    A position of B beats and M planes takes ``8 * B * ceil(M / A)`` cycles with A adders; there is
    no gap between positions. Integers and offsets of values that a pixel's last beat lacks are 0.
    Damaged words cannot stop it: once the tile's last word has come, it has put out as many beats
    as the shape has, or will.

    Parameters
    ----------
    size : how large it is built

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until the last beat has left
    write : In(ProjectionWrite), see ``SumEngine``; SHIFT: that of all sums. While no frame is in
        work
    start : In(1), begin a frame
    i : In(stream of word_layout), the words of the tile, padding included
    o : Out(stream of beat_layout), values in wire order, position by position; a pixel's last beat
        may have fewer values. Pixels that a position lacks are there, too
    broken : Out(1), the tile did not end as it must; from then until the next ``start``
    """

    lanes = BLOCK

    def __init__(self, size: PlaneSize) -> None:
        self._shape, self._walker = PlaneShape(size), BeatWalker(size)
        self._unpacker = PlaneUnpacker(size)
        self._sums = SumEngine(size.adders, size.stored, size.values)
        self._shift = exact_log2(size.adders // BLOCK)
        super().__init__({
            "head": In(HeadLayout),
            "write": In(ProjectionWrite),
            "start": In(1),
            "i": In(stream.Signature(word_layout(BLOCK))),
            "o": Out(stream.Signature(beat_layout(BLOCK))),
            "broken": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.shape, m.submodules.walker = shape, walker = self._shape, self._walker
        m.submodules.unpacker, m.submodules.sums = unpacker, sums = self._unpacker, self._sums
        wiring.connect(m, wiring.flipped(self.i), unpacker.i)
        wiring.connect(m, unpacker.o, sums.i)
        shift = Signal(_SHIFT_BITS, reset_less=True)  # a reset between frames must not change it
        with m.If(write_of(self.write, PlaneKind.SHIFT)):
            m.d.sync += shift.eq(self.write.data)
        is_signed = register(m, self.head.dtype == Dtype.INT8)
        for part in (walker, unpacker):
            m.d.comb += [part.shape.eq(shape.o), part.start.eq(shape.begin)]
        full, lane = Signal(), Signal(range(BLOCK))
        beat = Signal(data.ArrayLayout(8, BLOCK), reset_less=True)
        above = sums.o.payload
        m.d.comb += [
            shape.head.eq(self.head),
            shape.start.eq(self.start),
            unpacker.head.eq(self.head),
            sums.write.eq(self.write),
            sums.shift.eq(shift),
            sums.words.eq(shape.o.passes >> self._shift),
            sums.passes.eq(Cat(Const(BLOCK - 1, exact_log2(BLOCK)), shape.o.words)),
            sums.o.ready.eq(~full | self.o.ready),
            self.broken.eq(unpacker.broken),
            walker.step.eq(self.o.valid & self.o.ready),
            self.o.valid.eq(full),
            self.o.payload.data.eq(beat),
            self.o.payload.keep.eq((1 << walker.values) - 1),
            self.o.payload.last.eq(walker.last),
        ]
        with m.If(self.o.ready):
            m.d.sync += full.eq(0)
        with m.If(sums.o.valid & sums.o.ready):
            m.d.sync += [
                beat[lane].eq(Cat(above[:-1], above[-1] ^ is_signed)),
                lane.eq(lane + 1),
                full.eq(lane == BLOCK - 1),
            ]
        return m
