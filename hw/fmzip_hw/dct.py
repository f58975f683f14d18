"""Integer DCT over eight values, forward and inverse, in shifts and adds.

The products share terms: 9x, 25x = 16x + 9x, 75x = 3 * 25x, 89x = 64x + 25x, 83x = 80x + 3x. That
is cheaper and faster on an FPGA than one multiplier per coefficient of the matrix.
"""

from amaranth.hdl import Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, DCT8, DEQUANT_BITS, INVERSE_SHIFT
from fmzip_hw.pipeline import register

VALUE_BITS = 9  # value minus zero point
COEFFICIENT_BITS = 18
RESULT_BITS = 13  # of the inverse, before the clamp

_HALF = BLOCK // 2
_ODD_ROWS = [row[:_HALF] for row in DCT8[1::2]]


def _signed_sum(terms: list[tuple[int, Value]]) -> Value:
    """Sum of two terms, each with the sign of its coefficient; not both are negative."""
    (a_sign, a), (b_sign, b) = terms
    if a_sign < 0:
        (a_sign, a), (b_sign, b) = (b_sign, b), (a_sign, a)
    if a_sign < 0:
        return -(a + b)
    return a - b if b_sign < 0 else a + b


def _odd_products(m: Module, x: Value) -> dict[int, Value]:
    """18x, 50x, 75x and 89x, three cycles after ``x``."""
    x9 = register(m, (x << 3) + x)
    x25 = register(m, (register(m, x) << 4) + x9)
    return {
        18: register(m, x9, 2) << 1,
        50: register(m, x25) << 1,
        75: register(m, (x25 << 1) + x25),
        89: register(m, (register(m, x, 2) << 6) + x25),
    }


def _rotation(m: Module, x: Value) -> dict[int, Value]:
    """36x and 83x, two cycles after ``x``."""
    x9 = register(m, (x << 3) + x)
    x5 = register(m, (x << 2) + x)
    x3 = register(m, (x << 1) + x)
    return {36: register(m, x9) << 2, 83: register(m, (x5 << 4) + x3)}


def _odd_sums(m: Module, products: list[dict[int, Value]], rows: list[tuple[int, ...]]) -> list:
    """One sum of four products per row, two cycles after the products."""
    sums = []
    for row in rows:
        terms = [(c, p[abs(c)]) for c, p in zip(row, products, strict=True)]
        halves = [register(m, _signed_sum(terms[k : k + 2])) for k in (0, 2)]
        sums.append(register(m, halves[0] + halves[1]))
    return sums


class ForwardDct(wiring.Component):
    """Coefficients of one block per cycle: ``fmzip.reference.dct.forward``.

    Latency ``latency`` cycles, one block per cycle, never stalls; the surroundings carry valid.

    Members
    -------
    i : In(8 x signed(9)), value minus zero point
    o : Out(8 x signed(18)), scaled by 2**7.5
    """

    latency = 6

    i: In(data.ArrayLayout(signed(VALUE_BITS), BLOCK))
    o: Out(data.ArrayLayout(signed(COEFFICIENT_BITS), BLOCK))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sums = [register(m, self.i[j] + self.i[BLOCK - 1 - j]) for j in range(_HALF)]
        differences = [register(m, self.i[j] - self.i[BLOCK - 1 - j]) for j in range(_HALF)]

        outer = register(m, sums[0] + sums[3])
        inner = register(m, sums[1] + sums[2])
        y: dict[int, Value] = {
            0: register(m, outer + inner, 4) << 6,
            4: register(m, outer - inner, 4) << 6,
        }
        a = _rotation(m, register(m, sums[0] - sums[3]))
        b = _rotation(m, register(m, sums[1] - sums[2]))
        y[2] = register(m, a[83] + b[36], 2)
        y[6] = register(m, a[36] - b[83], 2)

        products = [_odd_products(m, d) for d in differences]
        for k, total in enumerate(_odd_sums(m, products, _ODD_ROWS)):
            y[2 * k + 1] = total
        m.d.comb += [self.o[k].eq(y[k]) for k in range(BLOCK)]
        return m


class InverseDct(wiring.Component):
    """Values of one block per cycle: ``fmzip.reference.dct.inverse``, and the zero point on top.

    Latency ``latency`` cycles, one block per cycle, never stalls; the surroundings carry valid.

    Members
    -------
    i : In(8 x signed(13)), coefficients scaled by 2**2.5
    zero : In(8), added to all values; constant during a frame
    o : Out(8 x signed(13)), rounded to LSB, not yet clamped
    """

    latency = 6

    i: In(data.ArrayLayout(signed(DEQUANT_BITS), BLOCK))
    zero: In(8)
    o: Out(data.ArrayLayout(signed(RESULT_BITS), BLOCK))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # What is added at the end enters early: times 64, it is the zero point and half an LSB.
        scale = INVERSE_SHIFT - 6
        offset = register(m, (self.zero << scale) + (1 << (scale - 1)))
        base, other = register(m, self.i[0] + offset), register(m, self.i[4])
        plus, minus = register(m, base + other), register(m, base - other)
        a, b = _rotation(m, self.i[2]), _rotation(m, self.i[6])
        turned = [register(m, a[83] + b[36]), register(m, a[36] - b[83])]
        plus, minus = register(m, plus) << 6, register(m, minus) << 6
        even = [
            register(m, e, 2)
            for e in (plus + turned[0], minus + turned[1], minus - turned[1], plus - turned[0])
        ]

        products = [_odd_products(m, self.i[2 * k + 1]) for k in range(_HALF)]
        columns = list(zip(*_ODD_ROWS, strict=True))
        odd = _odd_sums(m, products, columns)
        for j in range(_HALF):
            for lane, total in ((j, even[j] + odd[j]), (BLOCK - 1 - j, even[j] - odd[j])):
                value = Signal.like(total, reset_less=True)
                m.d.sync += value.eq(total)
                m.d.comb += self.o[lane].eq(value >> INVERSE_SHIFT)
        return m


# The shared terms above fit these coefficients only.
assert {abs(c) for row in _ODD_ROWS for c in row} == {18, 50, 75, 89}
assert [row[:2] for row in DCT8[2::4]] == [(83, 36), (36, -83)]
