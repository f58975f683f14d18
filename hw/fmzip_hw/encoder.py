"""The encoder: values in wire order in, words of a frame's tiles out."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, MULTIPLIER_BITS, WIDTH_BITS, Dtype
from fmzip_hw.bitpack import BitPacker, ValuePacker
from fmzip_hw.blockcode import BlockCoder
from fmzip_hw.dct import VALUE_BITS, ForwardDct
from fmzip_hw.layout import HeadLayout, beats_per_block, check_lanes, tail_of, word_layout
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.quantise import Quantiser
from fmzip_hw.sequence import TileSequencer
from fmzip_hw.tilebuffer import TileBuffer


class Encoder(wiring.Component):
    """Codes a feature map, ``lanes`` values per cycle: the tiles of ``fmzip.reference.encode``.

    A beat per cycle, but for ``tile_gap`` cycles between tiles, as long as the coded words are
    taken at that rate: a word per cycle always is enough. A partial block of fewer beats takes as
    long as a full one. ``latency`` cycles pass from the last beat of a tile to its first word,
    since only then is it known whether it is stored raw. Tiles shorter than ``min_tile`` cycles
    take ``min_tile`` cycles. Under backpressure up to ``max_blocks`` blocks are held.

    Parameters
    ----------
    lanes : values per beat: 2, 4 or 8
    ring_blocks : size of the tile buffers, a power of two from ``128 * lanes``; a tile may have
        15/16 of it

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until the last word has left
    multiplier : In(17), ``format.multiplier(head.step)``
    start : In(1), begin a frame; only while ``done``
    i : In(stream of lanes x 8), values in wire order; a block's last beat may have fewer values
    take : Out, how many lanes of the next beat are values; the others are ignored
    o : Out(stream of word_layout), the words of each tile, padded to the burst
    done : Out(1), all values of the frame have been taken
    """

    tile_gap = 2

    def __init__(self, lanes: int = 8, ring_blocks: int = 2048):
        self.lanes = check_lanes(lanes)
        self.max_blocks = ring_blocks * 15 // 16
        self._buffer = TileBuffer(lanes, ring_blocks)
        self._quantiser = Quantiser(lanes)
        self._coder = BlockCoder(lanes)
        self._values = ValuePacker(lanes)
        beats = beats_per_block(lanes)
        # From a beat's transfer to the end of the value section, which is the last to end.
        to_end = (
            2
            + ForwardDct.latency
            + (beats - 1)
            + self._quantiser.latency
            + self._coder.latency
            + self._values.latency
            + 2
        )
        self.latency = to_end + TileBuffer.latency
        # The sections' word counts are held for one tile only: the next one may not end sooner.
        self.min_tile = to_end
        super().__init__({
            "head": In(HeadLayout),
            "multiplier": In(MULTIPLIER_BITS),
            "start": In(1),
            "i": In(stream.Signature(data.ArrayLayout(8, lanes))),
            "take": Out(range(lanes + 1)),
            "o": Out(stream.Signature(word_layout(lanes))),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, beats = self.lanes, beats_per_block(self.lanes)
        m.submodules.sequencer = sequencer = TileSequencer()
        m.submodules.buffer = buffer = self._buffer
        m.submodules.dct = dct = ForwardDct()
        m.submodules.quantiser = quantiser = self._quantiser
        m.submodules.coder = coder = self._coder

        # One beat per cycle enters; a block goes on when its last beat is there.
        phase = Signal(range(max(beats, 2)))
        short = Signal(range(beats + 2))  # cycles until the next block may go on
        spacing = Signal(range(self.min_tile))
        too_soon = Signal()  # the next tile may not end yet
        final = Signal()
        beat = Signal()
        launch = Signal()
        # A partial block may need fewer beats, and the last of them has fewer values.
        room = register_flag(m, buffer.room)  # near to all that waits for it
        tail_beats, tail_values = tail_of(m, sequencer.tail, lanes)
        m.d.comb += [
            final.eq(
                phase == Mux(sequencer.partial, tail_beats, beats - 1) if beats > 1 else Const(1)
            ),
            self.take.eq(Mux(sequencer.partial & final, tail_values, lanes)),
            self.i.ready.eq(
                sequencer.valid & room & ~(final & ((short != 0) | (sequencer.last & too_soon)))
            ),
            beat.eq(self.i.valid & self.i.ready),
            launch.eq(beat & final),
            sequencer.head.eq(self.head),
            sequencer.start.eq(self.start),
            sequencer.hold.eq(register(m, buffer.full)),
            buffer.tile_taken.eq(launch & sequencer.last),
            sequencer.step.eq(launch),
            self.done.eq(sequencer.done),
        ]
        if beats > 1:
            with m.If(beat):
                m.d.sync += phase.eq(Mux(final, 0, phase + 1))
            with m.If(launch):
                # The packers want two cycles behind the end of a tile.
                m.d.sync += short.eq(Mux(sequencer.last, beats + 1, beats - 1))
            with m.Elif(short != 0):
                m.d.sync += short.eq(short - 1)
        with m.If(launch & sequencer.last):
            m.d.sync += [spacing.eq(self.min_tile - 2), too_soon.eq(1)]
        with m.Elif(too_soon):
            m.d.sync += [spacing.eq(spacing - 1), too_soon.eq(spacing != 0)]

        entered = _Entered(m, self, beat, phase, sequencer.partial & final, tail_values)
        launch = register_flag(m, launch)
        last = register_flag(m, beat & final & sequencer.last)
        self._raw_path(m, entered, last)
        values = self._values_of_block(m, entered)
        nonzero = Cat(v.any() for v in values)
        cycles = 1 + dct.latency
        for lane in range(BLOCK):
            m.d.comb += dct.i[lane].eq(values[lane])

        # Behind the transform a block takes `beats` consecutive cycles, `lanes` per cycle.
        out_valid = register_flag(m, launch, cycles)
        out_last = register_flag(m, last, cycles)
        coefficients, flags = [list(dct.o)], register(m, nonzero, dct.latency)
        valid = [out_valid]
        for _ in range(beats - 1):
            coefficients.append([register(m, c) for c in coefficients[-1]])
            valid.append(register_flag(m, valid[-1]))
        for lane in range(lanes):
            chosen = coefficients[0][lane]
            for p in range(1, beats):
                chosen = Mux(valid[p], coefficients[p][p * lanes + lane], chosen)
            m.d.comb += quantiser.i[lane].eq(chosen)
        m.d.comb += quantiser.multiplier.eq(self.multiplier)

        cycles = quantiser.latency
        m.d.comb += [
            coder.head.eq(self.head),
            coder.i_valid.eq(register_flag(m, Cat(valid).any(), cycles)),
            coder.i_final.eq(register_flag(m, valid[-1], cycles)),
            coder.i_last.eq(register_flag(m, out_last, cycles + beats - 1)),
            coder.nonzero.eq(register(m, flags, cycles + beats - 1)),
            Cat(coder.symbols).eq(Cat(quantiser.o)),
        ]
        self._sections(m)
        m.d.comb += buffer.burst_log2.eq(self.head.burst_log2)
        wiring.connect(m, buffer.o, wiring.flipped(self.o))
        return m

    def _values_of_block(self, m: Module, entered: "_Entered") -> list[Signal]:
        """The eight values of a block less the zero point, two cycles after its last beat."""
        lanes = self.lanes
        is_signed = register(m, self.head.dtype == Dtype.INT8)
        zero = self.head.zero_point
        zero = register(m, Cat(zero, zero[-1] & is_signed).as_signed())
        values = []
        for k in range(BLOCK):
            p, lane = divmod(k, lanes)
            byte = entered.data[8 * lane : 8 * lane + 8]
            value = Signal(signed(VALUE_BITS), name=f"value{k}", reset_less=True)
            wide = Cat(byte, byte[-1] & is_signed).as_signed()
            # With one beat per block there is nothing to hold, so no enable to wait for.
            with m.If((entered.valid & (entered.phase == p)) | (lanes == BLOCK)):
                m.d.sync += value.eq(Mux(entered.there[lane], wide - zero, 0))
            with m.Elif(entered.valid & (entered.phase == 0)):
                m.d.sync += value.eq(0)  # a short block has no such beat
            values.append(value)
        return values

    def _raw_path(self, m: Module, entered: "_Entered", last: Value) -> None:
        lanes = self.lanes
        m.submodules.raw_packer = packer = BitPacker(BLOCK * lanes, BLOCK * lanes, unit=BLOCK)
        bits = (
            Mux(entered.there[lane], entered.data[8 * lane : 8 * lane + 8], 0)
            for lane in range(lanes)
        )
        m.d.comb += [
            packer.i_valid.eq(register_flag(m, entered.valid)),
            packer.i_bits.eq(register(m, Cat(bits))),
            packer.i_length.eq(register(m, entered.count)),
            packer.i_last.eq(register_flag(m, last)),
            self._buffer.raw.write.eq(packer.o_valid),
            self._buffer.raw.bits.eq(packer.o_bits),
            self._buffer.raw.end.eq(register_flag(m, packer.done)),
        ]

    def _sections(self, m: Module) -> None:
        """Widths, bitmaps and values from the coder into their memories."""
        coder, buffer, word = self._coder, self._buffer, BLOCK * self.lanes
        m.submodules.width_packer = widths = BitPacker(WIDTH_BITS, word, unit=WIDTH_BITS)
        m.submodules.bitmap_packer = bitmaps = BitPacker(min(2 * BLOCK, word), word)
        m.submodules.value_packer = values = self._values
        m.d.comb += [
            widths.i_bits.eq(coder.width),
            widths.i_length.eq(1),
            bitmaps.i_bits.eq(coder.bitmap),
            bitmaps.i_length.eq(coder.bitmap_length),
            values.i_valid.eq(coder.o_valid),
            values.i_last.eq(coder.o_last),
            values.present.eq(coder.present),
            values.width.eq(coder.width),
            Cat(values.codes).eq(Cat(coder.codes)),
            buffer.half.eq(register(m, (values.residue != 0) & (values.residue <= word))),
        ]
        for packer, memory in ((widths, buffer.widths), (bitmaps, buffer.bitmaps)):
            m.d.comb += [
                packer.i_valid.eq(coder.block_valid),
                packer.i_last.eq(coder.block_last),
                memory.write.eq(packer.o_valid),
                memory.bits.eq(packer.o_bits),
                memory.end.eq(register_flag(m, packer.done)),
            ]
        m.d.comb += [
            buffer.values.write.eq(values.o_valid),
            buffer.values.bits.eq(values.o_bits),
            buffer.values.end.eq(register_flag(m, values.done)),
        ]


class _Entered:
    """A beat in the first register of the pipeline, with what is known of it.

    ``data``, ``valid``, ``phase``; ``there`` tells which lanes have a value, ``count`` how many.
    """

    def __init__(
        self,
        m: Module,
        encoder: Encoder,
        beat: Value,
        phase: Value,
        partial: Value,
        tail_values: Value,
    ):
        lanes = encoder.lanes
        self.data = register(m, Cat(encoder.i.payload))
        self.valid = register_flag(m, beat)
        self.phase = register(m, phase)
        in_tail = register(m, ((1 << tail_values) - 1)[:lanes])
        partial = register(m, partial)
        self.there = Mux(partial, in_tail, (1 << lanes) - 1)
        self.count = Mux(partial, tail_values, lanes)
