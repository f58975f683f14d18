"""From codes back to values: symbols, dequantiser, inverse transform, clamp."""

from amaranth.hdl import Module, Mux, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, OPTION_ZERO_BITMAP, Coder, Dtype
from fmzip_hw.blockcode import unipolar
from fmzip_hw.dct import RESULT_BITS, InverseDct
from fmzip_hw.layout import HeadLayout, beats_per_block
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.quantise import DECODED_BITS, Dequantiser

# What goes along with a block through the pipeline.
BlockNotes = data.StructLayout({"nonzero": BLOCK, "raw": 1, "partial": 1, "last": 1})


def zero_of(head: data.View) -> Value:
    """The zero point where int8 has been moved to 0..255 by turning over its top bit."""
    return head.zero_point ^ ((head.dtype == Dtype.INT8) << 7)


class Finisher(wiring.Component):
    """Values of a block from the inverse transform: zero point, zero bitmap, clamp.

    Never stalls; latency ``latency`` cycles. Equals the end of
    ``fmzip.reference.frame.lanes_of_symbols``.

    Members
    -------
    head : In(HeadLayout), constant during a frame
    i : In(8 x signed(13)), from ``InverseDct``, with the zero point of ``zero_of``
    raw : In(8 x 8), the block's bytes in a raw tile
    notes : In(BlockNotes)
    o : Out(8 x 8)
    """

    latency = 3

    head: In(HeadLayout)
    i: In(data.ArrayLayout(signed(RESULT_BITS), BLOCK))
    raw: In(data.ArrayLayout(8, BLOCK))
    notes: In(BlockNotes)
    o: Out(data.ArrayLayout(8, BLOCK))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        top = register(m, self.head.dtype == Dtype.INT8)
        zero = register(m, zero_of(self.head))
        # In a unipolar map a value that is not zero is at least one above the zero point.
        has_zeros = self.head.options & OPTION_ZERO_BITMAP
        floor = register(m, has_zeros.any() & unipolar(self.head))
        other = register(m, self.notes.raw.replicate(BLOCK) | ~self.notes.nonzero, 2)
        for lane in range(BLOCK):
            value = register(m, self.i[lane])
            above = register(m, ~self.i[lane][-1] & self.i[lane][8:].any())
            lowest = register(m, ~self.i[lane][:8].any() & floor)
            clamped = Mux(value[-1], floor, Mux(above, 0xFF, value[:8] | lowest))
            clamped = register(m, clamped[:8])
            # Where the value does not come from the transform: a raw one, or zero.
            raw = self.raw[lane] ^ (top << 7)
            instead = register(m, Mux(self.notes.raw, raw, zero), 2)
            out = Mux(other[lane], instead, clamped) ^ (top << 7)
            m.d.comb += self.o[lane].eq(register(m, out))
        return m


class Reconstructor(wiring.Component):
    """Values of a block from the codes of its beats.

    Never stalls; a beat per cycle; ``latency`` cycles from a block's final beat to its values.

    Parameters
    ----------
    lanes : codes per beat

    Members
    -------
    head : In(HeadLayout), constant during a frame
    i_valid : In(1), a beat is there
    phase : In, its number within the block
    codes : In(lanes x signed(12)), 0 where not present
    present : In(lanes), which codes are there
    notes : In(BlockNotes), of the block
    o_valid : Out(1), a block is there
    o : Out(8 x 8), its values
    o_notes : Out(BlockNotes)
    """

    def __init__(self, lanes: int):
        self.lanes = lanes
        self.beats = beats_per_block(lanes)
        self._gather = 0 if self.beats == 1 else 1
        self.latency = (
            1 + Dequantiser.latency + self._gather + InverseDct.latency + Finisher.latency
        )
        super().__init__({
            "head": In(HeadLayout),
            "i_valid": In(1),
            "phase": In(range(max(self.beats, 2))),
            "codes": In(data.ArrayLayout(signed(DECODED_BITS), lanes)),
            "present": In(lanes),
            "notes": In(BlockNotes),
            "o_valid": Out(1),
            "o": Out(data.ArrayLayout(8, BLOCK)),
            "o_notes": Out(BlockNotes),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dequantiser = dequantiser = Dequantiser(self.lanes)
        m.submodules.dct = dct = InverseDct()
        m.submodules.finisher = finisher = Finisher()
        m.d.comb += [dequantiser.head.eq(self.head), finisher.head.eq(self.head)]
        m.d.comb += dct.zero.eq(register(m, zero_of(self.head)))

        # The bitmap coder has no code for zero, so its codes from 0 upwards mean one more.
        is_bitmap = register(m, self.head.coder == Coder.BITMAP)
        for lane in range(self.lanes):
            code = self.codes[lane]
            raised = code + (is_bitmap & self.present[lane] & ~code[-1])
            m.d.comb += dequantiser.i[lane].eq(register(m, raised[:DECODED_BITS].as_signed()))

        cycles = 1 + dequantiser.latency
        valid = register_flag(m, self.i_valid, cycles)
        phase = register(m, self.phase, cycles)
        raw = [register(m, code[:8], cycles) for code in self.codes]
        coefficients = self._gathered(m, list(dequantiser.o), valid, phase)
        for lane, coefficient in enumerate(coefficients):
            m.d.comb += dct.i[lane].eq(coefficient)
        for lane, byte in enumerate(self._gathered(m, raw, valid, phase)):
            m.d.comb += finisher.raw[lane].eq(register(m, byte, dct.latency))
        for lane in range(BLOCK):
            m.d.comb += finisher.i[lane].eq(dct.o[lane])

        final = self.i_valid & (self.phase == self.beats - 1)
        notes = register(m, self.notes, self.latency - finisher.latency)
        m.d.comb += [
            finisher.notes.eq(notes),
            self.o_valid.eq(register_flag(m, final, self.latency)),
            self.o.eq(finisher.o),
            self.o_notes.eq(register(m, notes, finisher.latency)),
        ]
        return m

    def _gathered(self, m: Module, beat: list[Value], valid: Value, phase: Value) -> list[Value]:
        """The eight lanes of a block, one cycle after its final beat if it has several."""
        if self.beats == 1:
            return beat
        lanes: list[Value] = []
        for p in range(self.beats):
            lanes += [register(m, value, enable=valid & (phase == p)) for value in beat]
        return lanes
