"""Multipliers."""

from amaranth.hdl import ClockSignal, Const, Instance, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip_hw.memory import is_ecp5
from fmzip_hw.pipeline import register


class Multiplier(wiring.Component):
    """Signed product of a value and a constant of the frame, with a register on either side.

    Latency ``latency`` cycles, never stalls. On ECP5 all registers are those of the DSP block:
    yosys does not pack them by itself, and the way there and back costs half of the cycle.

    Parameters
    ----------
    a_shape, b_shape : at most 18 bits each, signed or not
    held : with registers in front; without, the factors should come from registers close by

    Members
    -------
    a, b : In
    o : Out, a * b
    """

    latency = 2

    def __init__(self, a_shape: Shape, b_shape: Shape, held: bool = True):
        self._held = held
        if not held:
            self.latency = 1
        product = Value.cast(Signal(a_shape) * Signal(b_shape)).shape()
        super().__init__({"a": In(a_shape), "b": In(b_shape), "o": Out(product)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if is_ecp5(platform):
            self._ecp5(m)
        else:
            a, b = (register(m, factor, int(self._held)) for factor in (self.a, self.b))
            m.d.comb += self.o.eq(register(m, a * b))
        return m

    def _ecp5(self, m: Module) -> None:
        size = 18
        ports: dict[str, Value] = {"i_CLK0": ClockSignal(), "i_CE0": Const(1), "i_RST0": Const(0)}
        for name, factor in (("A", self.a), ("B", self.b)):
            shape = factor.shape()
            fill = factor[-1] if shape.signed else Const(0)
            for k in range(size):
                ports[f"i_{name}{k}"] = factor[k] if k < shape.width else fill
            ports[f"i_SIGNED{name}"] = Const(int(shape.signed))
            ports[f"i_SOURCE{name}"] = Const(0)
        product = Signal(2 * size)
        for k in range(2 * size):
            ports[f"o_P{k}"] = product[k]
        registers = ("INPUTA", "INPUTB", "OUTPUT") if self._held else ("OUTPUT",)
        m.submodules.dsp = Instance(
            "MULT18X18D",
            **{f"p_REG_{name}_CLK": "CLK0" for name in registers},
            **ports,
        )
        m.d.comb += self.o.eq(product)


def small_product(a: Value, b: Value) -> Value:
    """``a * b`` of unsigned values of a few bits, in logic: not worth a DSP block."""
    terms: list[Value] = [Mux(a[k], b << k, 0) for k in range(len(a))]
    while len(terms) > 1:  # a tree, so that few carries follow each other
        odd = terms[len(terms) & ~1 :]
        terms = [low + high for low, high in zip(terms[0::2], terms[1::2], strict=False)] + odd
    return terms[0][: len(a) + len(b)]


class SerialProduct(wiring.Component):
    """Product of three numbers, slow and small: for what changes once per tile.

    Takes ``3 * bits`` cycles at most; the product must fit in ``bits`` bits.

    Parameters
    ----------
    bits : of each factor and of the product

    Members
    -------
    start : In(1), begin; the factors must stay
    a, b, c : In(bits)
    valid : Out(1), the product is there; until the next start
    o : Out(bits)
    """

    def __init__(self, bits: int):
        self._bits = bits
        super().__init__({
            "start": In(1), "a": In(bits), "b": In(bits), "c": In(bits),
            "valid": Out(1), "o": Out(bits),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        factor, addend = Signal(self._bits), Signal(self._bits)
        busy, second = Signal(), Signal()
        more = Signal()  # factor != 0
        with m.If(self.start):
            m.d.sync += [
                busy.eq(1),
                second.eq(0),
                more.eq(1),
                self.valid.eq(0),
                self.o.eq(0),
                factor.eq(self.a),
                addend.eq(self.b),
            ]
        with m.Elif(busy & more):
            m.d.sync += [
                factor.eq(factor >> 1),
                addend.eq(addend << 1),
                more.eq((factor >> 1) != 0),
            ]
            with m.If(factor[0]):
                m.d.sync += self.o.eq(self.o + addend)
        with m.Elif(busy & ~second):
            m.d.sync += [
                second.eq(1),
                more.eq(1),
                factor.eq(self.c),
                addend.eq(self.o),
                self.o.eq(0),
            ]
        with m.Elif(busy):
            m.d.sync += [busy.eq(0), self.valid.eq(1)]
        return m
