"""From symbols to what is packed: codes, presence flags, widths and bitmaps of blocks."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, ValueLike, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, OPTION_ZERO_BITMAP, WIDTH_BITS, WIDTH_MAX, Coder
from fmzip_hw.layout import HeadLayout, beats_per_block
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.quantise import SYMBOL_BITS


def unipolar(head: data.View) -> Value:
    """No value lies below the zero point, so that symbol 0 is never negative."""
    lowest = head.dtype[0] << 7  # int8: 0x80
    return head.zero_point == lowest


def kept_before(m: Module, keep: Value) -> list[Value]:
    """How many coefficients are kept in front of each one, and last, how many in all.

    Constant during a frame, so it may take its time: one register per coefficient.
    """
    counts: list[Value] = [Value.cast(0)]
    for k in range(BLOCK):
        counts.append(register(m, counts[-1] + keep[k])[: (k + 1).bit_length()])
    return counts


class BlockCoder(wiring.Component):
    """Codes, widths and bitmaps of symbols: ``fmzip.reference.bitpack.codes``.

    The beats of a block come in consecutive cycles. Never stalls. Beats leave ``latency`` cycles
    after they came; width and bitmap are there ``block_latency`` cycles after the final beat, and
    the width stays until all beats of the block have left.

    Parameters
    ----------
    lanes : symbols per beat

    Members
    -------
    head : In(HeadLayout), for coder, options, keep, dtype and zero point
    i_valid : In(1), a beat is there
    i_final : In(1), it is the final one of its block
    i_last : In(1), it is the last one of its tile
    symbols : In(lanes x signed(11))
    nonzero : In(8), which values of the block are not zero; with the final beat
    o_valid, o_last : Out(1)
    codes : Out(lanes x 11)
    present : Out(lanes), which codes are stored if the width is not 0
    block_valid, block_last : Out(1)
    width : Out(4), of the block's codes
    bitmap : Out(16), zero bitmap and flags; bitmap_length : Out(5)
    """

    block_latency = 5

    def __init__(self, lanes: int):
        self.lanes = lanes
        self.beats = beats_per_block(lanes)
        self.latency = self.block_latency + self.beats - 1
        super().__init__({
            "head": In(HeadLayout),
            "i_valid": In(1),
            "i_final": In(1),
            "i_last": In(1),
            "symbols": In(data.ArrayLayout(signed(SYMBOL_BITS), lanes)),
            "nonzero": In(BLOCK),
            "o_valid": Out(1),
            "o_last": Out(1),
            "codes": Out(data.ArrayLayout(WIDTH_MAX, lanes)),
            "present": Out(lanes),
            "block_valid": Out(1),
            "block_last": Out(1),
            "width": Out(WIDTH_BITS),
            "bitmap": Out(2 * BLOCK),
            "bitmap_length": Out(range(2 * BLOCK + 1)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        is_bitmap = register(m, self.head.coder == Coder.BITMAP)
        phase = Signal(range(max(self.beats, 2)))  # beat within the block
        m.d.sync += phase.eq(Mux(self.i_valid & ~self.i_final, phase + 1, 0))
        kept = Signal(self.lanes)
        with m.Switch(phase):
            for p in range(self.beats):
                with m.Case(p):
                    m.d.comb += kept.eq(self.head.keep[p * self.lanes : (p + 1) * self.lanes])

        needs, flags = [], []
        valid = register_flag(m, self.i_valid, 2)
        first = register(m, phase == 0, 2)
        for lane in range(self.lanes):
            symbol = register(m, self.symbols[lane])
            nonzero = register(m, self.symbols[lane].any() & kept[lane])
            code = register(m, symbol - (is_bitmap & nonzero & ~symbol[-1]))[:SYMBOL_BITS]
            need = self._need(m, code.as_signed(), register(m, nonzero), first if lane == 0 else 0)
            needs.append(register(m, Mux(register(m, kept[lane], 2) & valid, need, 0)))
            flags.append(Mux(is_bitmap, nonzero, register(m, kept[lane])))
            m.d.comb += self.codes[lane].eq(register(m, code, self.latency - 2))

        width, some = self._width(m, needs, register(m, first))
        cycles = self.block_latency - 1
        present = [register(m, Cat(flags), cycles - 1)]  # of the final beat, the one before, ...
        for _ in range(self.beats - 1):
            present.insert(0, register(m, present[0]))
        block_flags = Cat(present)
        nonzero = register(m, self.nonzero, cycles)
        bitmap, length = self._bitmap(m, block_flags, nonzero, is_bitmap)
        final = register_flag(m, self.i_final, cycles)
        with m.If(final):
            m.d.sync += self.width.eq(width)
        m.d.sync += [
            self.bitmap.eq(Mux(some, bitmap, 0)),
            self.bitmap_length.eq(Mux(some, length, 0)),
            self.block_valid.eq(final),
            self.block_last.eq(register_flag(m, self.i_last, cycles)),
        ]
        m.d.comb += [
            self.present.eq(register(m, present[0])),
            self.o_valid.eq(register_flag(m, self.i_valid, self.latency)),
            self.o_last.eq(register_flag(m, self.i_last, self.latency)),
        ]
        return m

    def _need(self, m: Module, code: Value, nonzero: Value, first: ValueLike) -> Signal:
        """A number whose length is the width that the code needs, sign included; odd if not 0."""
        need = Signal(WIDTH_MAX)
        magnitude = Mux(code[-1], ~code, code)
        m.d.comb += need.eq(Cat(nonzero, magnitude[: WIDTH_MAX - 1]))
        with m.If(first & register(m, unipolar(self.head))):
            m.d.comb += need.eq(code | nonzero)
        return need

    def _width(self, m: Module, needs: list[Signal], first: Value) -> tuple[Value, Value]:
        """Width of the block and whether it is not 0, one cycle after its final beat's needs."""
        together = Signal(WIDTH_MAX)  # needs of all beats so far
        this_beat = needs[0]
        for need in needs[1:]:
            this_beat = this_beat | need
        m.d.sync += together.eq(this_beat | Mux(first, 0, together))
        width = Signal(WIDTH_BITS)
        for k in range(WIDTH_MAX):
            with m.If(together[k]):
                m.d.comb += width.eq(k + 1)
        return width, together[0]  # the lowest bit of a need is set if the symbol is not 0

    def _bitmap(
        self, m: Module, flags: Value, nonzero: Value, is_bitmap: Value
    ) -> tuple[Value, Value]:
        """Bits and length of a block's bitmap: zero bitmap, then the flags that are kept."""
        keep = self.head.keep
        has_zeros = register(m, self.head.options & OPTION_ZERO_BITMAP)[0]
        *slot, count = kept_before(m, keep)
        close = Signal(BLOCK)  # the flags without gaps
        m.d.comb += close.eq(
            Cat(
                Cat(flags[k] & keep[k] & (slot[k] == j) for k in range(j, BLOCK)).any()
                for j in range(BLOCK)
            )
        )
        close = Mux(is_bitmap, close, 0)
        length = register(m, Mux(is_bitmap, count, 0) + Mux(has_zeros, BLOCK, 0))
        return Mux(has_zeros, Cat(nonzero, close), close), length
