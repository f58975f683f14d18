"""Quantiser and dequantiser, one multiplier per lane."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import DEQUANT_BITS, DEQUANT_SHIFT, MULTIPLIER_BITS, QUANT_SHIFT, WIDTH_MAX
from fmzip_hw.dct import COEFFICIENT_BITS
from fmzip_hw.layout import HeadLayout
from fmzip_hw.pipeline import register

SYMBOL_BITS = WIDTH_MAX  # of an encoder's symbols, signed
DECODED_BITS = WIDTH_MAX + 1  # of a decoder's symbols: the bitmap coder codes +1024 in 11 bits


def _own_copy(m: Module, constant: Value) -> Signal:
    """A lane's own register of a constant: one for all lanes would be too far away from most."""
    copy = Signal(len(constant), attrs={"keep": 1})
    m.d.sync += copy.eq(constant)
    return copy


class Quantiser(wiring.Component):
    """Symbols of ``lanes`` coefficients per cycle: ``fmzip.reference.quantise.quantise``.

    Latency ``latency`` cycles, never stalls; the surroundings carry valid.

    Parameters
    ----------
    lanes : coefficients per cycle

    Members
    -------
    multiplier : In(17), ``format.multiplier(step)``; constant during a frame
    i : In(lanes x signed(18)), coefficients
    o : Out(lanes x signed(11)), symbols
    """

    latency = 3

    def __init__(self, lanes: int):
        self.lanes = lanes
        super().__init__({
            "multiplier": In(MULTIPLIER_BITS),
            "i": In(data.ArrayLayout(signed(COEFFICIENT_BITS), lanes)),
            "o": Out(data.ArrayLayout(signed(SYMBOL_BITS), lanes)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for lane in range(self.lanes):
            factor = register(m, self.i[lane])  # beside the DSP block
            product = register(m, factor * _own_copy(m, self.multiplier))
            rounded = register(m, product[QUANT_SHIFT:].as_signed() + product[QUANT_SHIFT - 1])
            m.d.comb += self.o[lane].eq(rounded)
        return m


class Dequantiser(wiring.Component):
    """Coefficients of ``lanes`` symbols per cycle: ``fmzip.reference.quantise.dequantise``.

    Latency ``latency`` cycles, never stalls; the surroundings carry valid.

    Parameters
    ----------
    lanes : symbols per cycle

    Members
    -------
    head : In(HeadLayout), for ``step``; constant during a frame
    i : In(lanes x signed(12)), symbols
    o : Out(lanes x signed(13)), coefficients scaled by 2**2.5
    """

    latency = 4

    def __init__(self, lanes: int):
        self.lanes = lanes
        super().__init__({
            "head": In(HeadLayout),
            "i": In(data.ArrayLayout(signed(DECODED_BITS), lanes)),
            "o": Out(data.ArrayLayout(signed(DEQUANT_BITS), lanes)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        limit = 1 << (DEQUANT_BITS - 1)
        for lane in range(self.lanes):
            factor = register(m, self.i[lane])  # beside the DSP block
            product = register(m, factor * _own_copy(m, self.head.step))
            rounded = register(m, product[DEQUANT_SHIFT:].as_signed() + product[DEQUANT_SHIFT - 1])
            sign = rounded[-1]
            top = rounded[DEQUANT_BITS - 1 :]  # all alike where the value fits
            fits = ~top.any() | top.all()
            clamped = Signal(signed(DEQUANT_BITS))
            m.d.comb += clamped.eq(Mux(fits, rounded, Mux(sign, -limit, limit - 1)))
            m.d.comb += self.o[lane].eq(register(m, clamped))
        return m
