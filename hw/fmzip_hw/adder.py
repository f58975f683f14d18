"""Sums in one carry chain each, where yosys would take two, or one and multiplexers."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip_hw.memory import is_ecp5

# Functions of a bit and a control, as truth tables of ``bit + 2 * control``.
XOR = 0b0110
AND_NOT = 0b0010
OR = 0b1110


class GatedAdder(wiring.Component):
    """``a + f(b, control) + carry``, with a function f for each bit; no register.

    On ECP5 f is in the cells of the carry chain, where yosys would put it in front of them.

    Parameters
    ----------
    functions : of the bits, lowest first
    carries : there is a ``carry``, which takes a cell of the chain

    Members
    -------
    a, b : In(number of functions)
    control : In(1)
    carry : In(1), with ``carries``
    o : Out, modulo its range
    """

    def __init__(self, functions: Sequence[int], *, carries: bool = True):
        self._functions, self._carries = tuple(functions), carries
        size = len(self._functions)
        super().__init__({
            "a": In(size), "b": In(size), "control": In(1), "o": Out(size),
            **({"carry": In(1)} if carries else {}),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if is_ecp5(platform):
            self._ecp5(m)
            return m
        gated = Cat(
            Const(table, 4).bit_select(Cat(bit, self.control), 1)
            for table, bit in zip(self._functions, self.b, strict=True)
        )
        m.d.comb += self.o.eq(self.a + gated + (self.carry if self._carries else 0))
        return m

    def _ecp5(self, m: Module) -> None:
        # The lower half of a table is what the bit generates, its upper half what it propagates.
        carry_in = 0x00AA
        cells: list[tuple[int, Value, Value]] = []
        if self._carries:
            cells.append((carry_in, self.carry, Const(0, 1)))
        for table, a, b in zip(self._functions, self.a, self.b, strict=True):
            sums = sum(((n & 1) ^ (table >> (n >> 1) & 1)) << n for n in range(8))
            cells.append((sums << 8 | 0xAA, a, b))
        out = Signal(len(cells) + 1)
        if len(cells) % 2:
            cells.append((carry_in, Const(0, 1), Const(0, 1)))
        chain: Value = Const(0, 1)
        for k in range(0, len(cells), 2):
            following = Signal(name=f"carry{k}")
            ports: dict[str, Value] = {"i_CIN": chain, "o_COUT": following}
            for n, (_, a, b) in enumerate(cells[k : k + 2]):
                ports |= {
                    f"i_A{n}": a, f"i_B{n}": b, f"i_C{n}": self.control, f"i_D{n}": Const(1, 1),
                    f"o_S{n}": out[k + n] if k + n < len(out) else Signal(name="unused"),
                }  # fmt: skip
            m.submodules[f"cell{k}"] = Instance(
                "CCU2C",
                p_INIT0=Const(cells[k][0], 16),
                p_INIT1=Const(cells[k + 1][0], 16),
                p_INJECT1_0="NO",
                p_INJECT1_1="NO",
                **ports,
            )
            chain = following
        m.d.comb += self.o.eq(out[int(self._carries) :])


def with_carry(a: Value, b: Value, carry: Value) -> Value:
    """``a + b + carry`` of signed values; one bit longer than the longer one."""
    return (Cat(carry, a).as_signed() + Cat(carry, b).as_signed())[1:].as_signed()


def add_or_subtract(m: Module, a: Value, b: Value, minus: Value) -> Value:
    """``a - b`` of signed values if ``minus``, else ``a + b``; one bit longer than the longer."""
    size = max(len(a), len(b)) + 1
    adder = GatedAdder([XOR] * size)
    m.submodules += adder
    m.d.comb += [adder.a.eq(a), adder.b.eq(b), adder.control.eq(minus), adder.carry.eq(minus)]
    return adder.o.as_signed()
