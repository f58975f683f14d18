"""Quantiser and dequantiser, one multiplier per lane."""

from amaranth.hdl import Module, Mux, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import DEQUANT_BITS, DEQUANT_SHIFT, MULTIPLIER_BITS, QUANT_SHIFT, WIDTH_MAX
from fmzip_hw.dct import COEFFICIENT_BITS
from fmzip_hw.layout import HeadLayout
from fmzip_hw.multiply import Multiplier
from fmzip_hw.pipeline import register

SYMBOL_BITS = WIDTH_MAX  # of an encoder's symbols, signed
DECODED_BITS = WIDTH_MAX + 1  # of a decoder's symbols: the bitmap coder codes +1024 in 11 bits


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
            m.submodules[f"multiplier{lane}"] = factor = Multiplier(
                self.i[lane].shape(), unsigned(MULTIPLIER_BITS)
            )
            m.d.comb += [factor.a.eq(self.i[lane]), factor.b.eq(self.multiplier)]
            product = factor.o
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
            m.submodules[f"multiplier{lane}"] = factor = Multiplier(
                self.i[lane].shape(), self.head.step.shape()
            )
            m.d.comb += [factor.a.eq(self.i[lane]), factor.b.eq(self.head.step)]
            product = factor.o
            sign = register(m, product[-1])
            top = product[DEQUANT_SHIFT + DEQUANT_BITS - 1 :]  # all alike where the value fits
            fits = register(m, ~top.any() | top.all())
            low = product[DEQUANT_SHIFT : DEQUANT_SHIFT + DEQUANT_BITS].as_signed()
            rounded = register(m, low + product[DEQUANT_SHIFT - 1])
            fits = fits & (rounded[-1] == rounded[-2])  # rounding may carry it over the limit
            clamped = Mux(fits, rounded[:-1], Mux(sign, limit, limit - 1))
            m.d.comb += self.o[lane].eq(register(m, clamped).as_signed())
        return m
