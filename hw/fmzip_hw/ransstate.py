"""States of the rANS encoder: each takes a symbol by one division, which is a product."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, STATE_BYTES, STATE_MIN, STATE_SETS, TOTAL_BITS, ceil_div
from fmzip_hw.layout import beats_per_block
from fmzip_hw.multiply import Multiplier
from fmzip_hw.pipeline import register, register_flag

STATE_BITS = 8 * STATE_BYTES

# A state is below 256 f when it is divided by f. The product with ceil(2^s / f) gives the exact
# quotient where 256 f (f - 1) <= 2^s, and has to have 18 bits: so three shifts s are enough, each
# up to its highest f. A test tries them all.
QUOTIENT_SHIFTS = ((17, 23), (21, 91), (24, 255))
_RECIPROCAL_BITS = 18

DivisorLayout = data.StructLayout({
    "frequency": TOTAL_BITS,
    "start": TOTAL_BITS,
    "select": 2,  # of QUOTIENT_SHIFTS
    "reciprocal": _RECIPROCAL_BITS,
})  # fmt: skip


def reciprocal(frequency: int) -> tuple[int, int]:
    """``select`` and ``reciprocal`` of a frequency of 1 to 255."""
    if not 0 < frequency < 1 << TOTAL_BITS:
        raise ValueError(f"frequency must be 1 to 255, not {frequency}")
    select = next(k for k, (_, highest) in enumerate(QUOTIENT_SHIFTS) if frequency <= highest)
    return select, ceil_div(1 << QUOTIENT_SHIFTS[select][0], frequency)


class RansStates(wiring.Component):
    """The states of 10 sets of 8; ``lanes`` of a set take a symbol each per cycle.

    Never stalls; states may be used again 10 cycles later. Latency ``latency`` cycles to ``put``
    and ``states``.

    Parameters
    ----------
    lanes : 2, 4 or 8; with less than 8 there are as many more sets of so many states, ``sets``

    Members
    -------
    valid : In(1), the symbols are taken
    set : In, which set; without ``valid`` its states are only read
    fresh : In(1), the states are those at the end of a tile, whatever the set holds
    divisors : In(lanes x DivisorLayout), frequencies of the symbols
    put : Out(lanes), the lane puts out the lowest byte of its state
    states : Out(lanes x 16), before the symbols
    """

    latency = 2

    def __init__(self, lanes: int = BLOCK):
        self._lanes, self.sets = lanes, STATE_SETS * beats_per_block(lanes)
        super().__init__({
            "set": In(range(self.sets)),
            "valid": In(1),
            "fresh": In(1),
            "divisors": In(data.ArrayLayout(DivisorLayout, lanes)),
            "put": Out(lanes),
            "states": Out(data.ArrayLayout(STATE_BITS, lanes)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Any number of a set is read: the one below 0, too, when all states have been put out.
        depth = 1 << len(self.set)
        # In logic: with 2 lanes there are so many sets that yosys would take a block RAM, and its
        # data come too late to be compared.
        m.submodules.sets = sets = Memory(
            shape=STATE_BITS * self._lanes,
            depth=depth,
            init=[],
            attrs={"ram_style": "distributed"},
        )
        write, read = sets.write_port(), sets.read_port(domain="comb")
        m.d.comb += read.addr.eq(self.set)
        valid = register_flag(m, self.valid)
        # The state enters a register, is renormalised, divided, and put together again.
        to_write = 9
        m.d.comb += [
            write.addr.eq(register(m, self.set, to_write)),
            write.en.eq(register_flag(m, valid, to_write - 1)),
        ]
        for lane in range(self._lanes):
            bits = slice(STATE_BITS * lane, STATE_BITS * (lane + 1))
            state = Signal(STATE_BITS, name=f"state{lane}", reset_less=True)
            m.d.sync += state.eq(read.data[bits])
            with m.If(self.fresh):
                m.d.sync += state.eq(STATE_MIN)
            divisor = Signal(DivisorLayout, name=f"divisor{lane}", reset_less=True)
            m.d.sync += divisor.eq(self.divisors[lane])
            put = (state >> 8) >= divisor.frequency
            m.d.sync += [self.put[lane].eq(put & valid), self.states[lane].eq(state)]
            renormalised = register(m, Mux(put, state >> 8, state)[:STATE_BITS])
            m.d.comb += write.data[bits].eq(self._advance(m, lane, renormalised, divisor))
        return m

    def _advance(self, m: Module, lane: int, state: Value, divisor: data.View) -> Value:
        """The next state, 7 cycles behind the renormalised one, which is one behind ``divisor``."""
        divide = Multiplier(unsigned(STATE_BITS), unsigned(_RECIPROCAL_BITS))
        multiply = Multiplier(unsigned(TOTAL_BITS), unsigned(TOTAL_BITS))
        m.submodules[f"divide{lane}"], m.submodules[f"multiply{lane}"] = divide, multiply
        m.d.comb += [
            divide.a.eq(state),
            divide.b.eq(register(m, divisor.reciprocal)),
        ]
        select = register(m, divisor.select, 1 + divide.latency)
        candidates = [divide.o[shift : shift + 8] for shift, _ in QUOTIENT_SHIFTS]
        quotient = register(
            m, Mux(select[1], candidates[2], Mux(select[0], candidates[1], candidates[0]))
        )
        to_quotient = divide.latency + 1
        m.d.comb += [
            multiply.a.eq(quotient),
            multiply.b.eq(register(m, divisor.frequency, 1 + to_quotient)),
        ]
        # Remainder plus start is below 256, so its low byte is all of it.
        raised = register(m, state[:8] + register(m, divisor.start))[:8]
        raised = register(m, raised, to_quotient - 1 + multiply.latency)
        low = register(m, (raised - multiply.o[:8])[:8])
        high = register(m, quotient, multiply.latency + 1)
        return register(m, Cat(low, high))
