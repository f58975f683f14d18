"""Quantiser of the coder RANS: what is rounded off is passed on to the neighbours."""

from amaranth.hdl import Cat, Const, Module, Mux, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from fmzip.format import (
    BLOCK,
    MULTIPLIER_BITS,
    RANS_FRACTION_BITS,
    WEIGHT_BITS,
)
from fmzip_hw.adder import AND_NOT, OR, GatedAdder, with_carry
from fmzip_hw.memory import BlockRam
from fmzip_hw.multiply import Multiplier
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.slots import position_parts_max, row_parts_max

COEFFICIENT_BITS = 11  # -1020 to 1020
ERROR_BITS = RANS_FRACTION_BITS + 1  # e, signed
_LEVEL_BITS = COEFFICIENT_BITS - 1 + RANS_FRACTION_BITS  # v', signed: 65280 and an error or so
_TERM_BITS = ERROR_BITS + WEIGHT_BITS  # a weighted error, signed
_CARRY_BITS = _TERM_BITS + 1  # difference of two
_HALF = 1 << (WEIGHT_BITS - 1)  # of the unit of weights, to round

# How values are rounded, and the weights of the neighbours' errors: the one above to the left,
# `corner`, is subtracted.
DiffusionLayout = data.StructLayout({
    "rounding": RANS_FRACTION_BITS,
    "left": WEIGHT_BITS,
    "above": WEIGHT_BITS,
    "corner": WEIGHT_BITS,
})  # fmt: skip


def plane_slot(lanes: int) -> data.StructLayout:
    """What the quantiser must know of a slot."""
    return data.StructLayout({
        "unsigned": 1,  # symbols are 0 to 255, else -128 to 127
        "first_row": 1,  # of the tile
        "first": 1,  # in the first position of its row
        "here": ceil_log2(row_parts_max(lanes)),  # number of the slot in its row
        "index": ceil_log2(position_parts_max(lanes)),  # and in its position
    })  # fmt: skip


class Diffuser(wiring.Component):
    """Numbers z of ``lanes`` coefficients per cycle: section 10.2 of the format, with diffusion.

    Latency ``latency`` cycles, never stalls. The error of a position is there for the next one
    ``loop`` cycles later, and for the one below ``column_loop`` cycles later: with weights, slots
    of the same group must be that far apart.

    Parameters
    ----------
    lanes : 2, 4 or 8; see ``slots`` for what a slot is with less than 8

    Members
    -------
    multiplier : In(17), ``format.rans_multiplier``; constant during a frame
    diffusion : In(DiffusionLayout), weights are 0 but for BYPASS; constant during a frame
    i_valid : In(1), a slot is there
    i : In(lanes x signed(11)), its coefficients; 0 in lanes without a channel
    slot : In(plane_slot)
    o_valid : Out(1)
    o : Out(lanes x 8)
    """

    latency = 8
    loop = 8
    column_loop = latency + 1

    def __init__(self, lanes: int = BLOCK):
        self._lanes = lanes
        super().__init__({
            "multiplier": In(MULTIPLIER_BITS),
            "diffusion": In(DiffusionLayout),
            "i_valid": In(1),
            "i": In(data.ArrayLayout(signed(COEFFICIENT_BITS), lanes)),
            "slot": In(plane_slot(lanes)),
            "o_valid": Out(1),
            "o": Out(data.ArrayLayout(8, lanes)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._lanes
        # Errors of the row above, and, of the position before, what it passes on: both are
        # overwritten by this position's when they are known, the latter a product and a sum later.
        m.submodules.above = above = BlockRam(ERROR_BITS * lanes, row_parts_max(lanes))
        m.submodules.before = before = BlockRam(_CARRY_BITS * lanes, position_parts_max(lanes))
        place, group = self.slot.here, self.slot.index
        cycles = self.latency  # to errors and numbers
        m.d.comb += [
            above.r_addr.eq(place),
            above.w_addr.eq(register(m, place, cycles)),
            above.w_en.eq(register_flag(m, self.i_valid, cycles)),
            before.r_addr.eq(register(m, group, 3)),
            before.w_addr.eq(register(m, group, cycles + 2)),
            before.w_en.eq(register_flag(m, self.i_valid, cycles + 2)),
            self.o_valid.eq(register_flag(m, self.i_valid, cycles)),
        ]
        for ram in (above, before):
            m.d.comb += [ram.r_en.eq(1), ram.r_next.eq(1)]

        # Both weights of an error of the row above in one product; none in the first row.
        corner = register(m, (-self.diffusion.corner)[: WEIGHT_BITS + 1])
        both = Cat(self.diffusion.above, Const(0, _TERM_BITS - WEIGHT_BITS), corner).as_signed()
        both = register(m, Mux(self.slot.first_row, 0, both).as_signed(), above.latency)
        first = register(m, self.slot.first, above.latency + 3)
        is_unsigned = register(m, self.slot.unsigned, cycles - 2)
        errors, passed = [], []
        for lane in range(lanes):
            north, northwest = self._terms_above(m, lane, above, both)
            whole, rounds = self._steps(m, lane)
            apart = with_carry(whole, north >> WEIGHT_BITS, rounds)[:_LEVEL_BITS]
            # What was passed on has 8 in it, so that dropping the bits below a level rounds. It is
            # the last to come: all else has been added up, so that only one sum is in the loop.
            carried = before.r_data.word_select(lane, _CARRY_BITS).as_signed()
            m.submodules[f"neighbours{lane}"] = neighbours = GatedAdder(
                [OR if _HALF >> k & 1 else AND_NOT for k in range(WEIGHT_BITS + _LEVEL_BITS)],
                carries=False,
            )
            m.d.comb += [
                neighbours.a.eq(register(m, Cat(north[:WEIGHT_BITS], apart))),
                neighbours.b.eq(carried),
                neighbours.control.eq(first),  # _HALF in place of what was passed on
            ]
            level = register(m, neighbours.o[WEIGHT_BITS:])
            error, number = self._rounded(m, level.as_signed(), is_unsigned)
            errors.append(error)
            m.submodules[f"west{lane}"] = west = Multiplier(
                error.shape(), unsigned(WEIGHT_BITS), held=False
            )
            m.d.comb += [west.a.eq(error), west.b.eq(self.diffusion.left), self.o[lane].eq(number)]
            # A register in front of the memory, which may be far away.
            passed.append(register(m, (west.o + northwest)[:_CARRY_BITS]))
        m.d.comb += [above.w_data.eq(Cat(errors)), before.w_data.eq(Cat(passed))]
        return m

    def _terms_above(
        self, m: Module, lane: int, above: BlockRam, both: Value
    ) -> tuple[Value, Value]:
        """The term of the position above, and 8 less that for the next position, when it wants it.

        The latter comes when this position's error has been weighted.
        """
        m.submodules[f"north{lane}"] = north = Multiplier(signed(ERROR_BITS), both.shape())
        m.d.comb += [
            north.a.eq(above.r_data.word_select(lane, ERROR_BITS).as_signed()),
            north.b.eq(both),
        ]
        low = north.o[:_TERM_BITS].as_signed()
        high = north.o[_TERM_BITS : 2 * _TERM_BITS].as_signed()
        # Where the lower product is negative it has taken one off the upper one.
        rest = register(m, (high + Cat(low[-1], Const(_HALF >> 1)))[:_CARRY_BITS].as_signed())
        spent = above.latency + north.latency + 1
        return low, register(m, rest, self.latency + 1 - spent)

    def _steps(self, m: Module, lane: int) -> tuple[Value, Value]:
        """The coefficient in steps, rounded down, at the time of the error above, weighted; and
        whether v is one more.
        """
        m.submodules[f"steps{lane}"] = steps = Multiplier(
            signed(COEFFICIENT_BITS), unsigned(MULTIPLIER_BITS)
        )
        m.d.comb += [steps.a.eq(self.i[lane]), steps.b.eq(self.multiplier)]
        shift = RANS_FRACTION_BITS
        found = register(m, steps.o[shift - 1 :], 2)
        return found[1 : _LEVEL_BITS + 1].as_signed(), found[0]

    def _rounded(self, m: Module, level: Value, is_unsigned: Value) -> tuple[Value, Value]:
        """Error and number of a level v', two cycles later."""
        shift = RANS_FRACTION_BITS
        t = register(m, (level + self.diffusion.rounding)[:_LEVEL_BITS])
        low, odd = register(m, level[:shift]), register(m, level[shift])
        # Just beyond the ends of the range of q the error still fits.
        ones = (level[2 * shift - 1] == is_unsigned) & level[shift : 2 * shift - 1].all()
        over = register(m, ones & ~level[2 * shift :].any())
        under = register(m, ones & level[2 * shift :].all())

        is_unsigned = register(m, is_unsigned)
        q, top, negative = t[shift : 2 * shift], t[2 * shift - 1 :], t[-1]
        above = ~negative & (top[1] | (top[0] & ~is_unsigned))
        below = negative & (is_unsigned | ~(top[1] & top[0]))
        # Modulo 256 the error is the level; its sign is the carry of the rounding.
        error = Cat(low, t[shift] ^ odd)
        # A bit of the number is that of q, the one below it, that inverted, or 1 beyond an end; two
        # bits tell which. The 0 beyond the lower end of an unsigned q is a register's reset.
        ends = above | (below & ~is_unsigned)
        folds, other = ~is_unsigned & ~ends, ends | (~is_unsigned & negative)
        number = [Mux(is_unsigned, q[0] | above, negative)]
        number += [Mux(folds, q[k - 1] ^ other, q[k] | other) for k in range(1, shift)]
        with_ends = Mux(is_unsigned & below, 0, Cat(number))
        error = Mux(
            above,
            Cat(low | ~over.replicate(shift), 0),
            Mux(below, Cat(low & under.replicate(shift), 1), error),
        )
        return register(m, error.as_signed()), register(m, with_ends[:shift])
