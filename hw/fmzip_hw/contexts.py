"""Contexts of the coder RANS: from the symbols around a symbol to its statistic."""

from collections.abc import Callable

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from fmzip.format import (
    BLOCK,
    CLASS_STARTS,
    CLASSES,
    Transform,
)
from fmzip_hw.blockcode import unipolar
from fmzip_hw.layout import HeadLayout
from fmzip_hw.memory import BlockRam
from fmzip_hw.pairedtable import paired_tables
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.slots import PLANES_MAX, place_layout, position_parts_max, row_parts_max
from fmzip_hw.tables import STATISTIC_BITS, TOKEN_BITS, ContextWrite

CLASS_BITS = ceil_log2(CLASSES)


def class_of(token: int, signed: bool) -> int:
    """Class of a token; a symbol above 30, and an escape, count as token 31."""
    magnitude = (token + 1) >> 1 if signed else token
    return sum(magnitude >= start for start in CLASS_STARTS[1:])


def _lookup(table: list[int], index: Value, bits: int) -> Value:
    """An element of a constant table, in logic."""
    rows = [sum((row >> k & 1) << n for n, row in enumerate(table)) for k in range(bits)]
    return Cat(Const(row, len(table)).bit_select(index, 1) for row in rows)


def _plus(a: int, b: int) -> int:
    """The sum of two classes, at most the highest class."""
    return min(CLASSES - 1, a + b)


def _table2(a: Value, b: Value, function: Callable[[int, int], int]) -> Value:
    """A function of two classes as a table: no carry chain, which would take as long as all."""
    rows = [function(low, high) for high in range(CLASSES) for low in range(CLASSES)]
    return _lookup(rows, Cat(a, b), CLASS_BITS)


class ContextFormer(wiring.Component):
    """Statistics of the lanes of a slot, from the tokens of the slots before.

    Never stalls. A slot's statistics come ``latency`` cycles behind it; its tokens must be there
    ``feedback`` cycles behind it. Between slots of the same group in two planes or positions
    at least ``loop`` cycles must pass, as with ``SlotSequencer(loop)``.

    Parameters
    ----------
    feedback : cycles from a slot to its tokens, at least ``latency``
    lanes : 2, 4 or 8; see ``slots`` for what a slot is with less than 8
    early : where a slot lies is known in the cycle before, as ``coming``; so classes of the row
        above come from registers, and not from memories, which may be far away

    Members
    -------
    head : In(HeadLayout), constant during a frame
    i_valid : In(1), there is a slot
    slot : In(place_layout), of a tile that is not raw
    coming : In(place_layout), with ``early``: the slot of the next cycle, if there is one
    tokens : In(lanes x 5), of the slot that came ``feedback`` cycles ago; 31 for a symbol above 30
        and for an escape
    o : Out(lanes x 5), statistics of the slot that came ``latency`` cycles ago
    write : In(ContextWrite), into the table of contexts; not while slots come
    """

    latency = 2 * BlockRam.latency + 1

    def __init__(self, feedback: int, lanes: int = BLOCK, *, early: bool = False):
        self._feedback, self._lanes, self._early = feedback, lanes, early
        self._size = lanes * CLASS_BITS  # of the classes of a slot
        self.loop = feedback + 1
        super().__init__({
            "head": In(HeadLayout),
            "i_valid": In(1),
            "slot": In(place_layout(lanes)),
            **({"coming": In(place_layout(lanes))} if early else {}),
            "tokens": In(data.ArrayLayout(TOKEN_BITS, lanes)),
            "o": Out(data.ArrayLayout(STATISTIC_BITS, lanes)),
            "write": In(ContextWrite),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        size, in_position = self._size, position_parts_max(self._lanes)
        m.submodules.left = left = BlockRam(size, in_position)
        m.submodules.line = line = BlockRam(size, row_parts_max(self._lanes))
        m.submodules.above = above = BlockRam(2 * size, in_position)
        below = []  # the same position's planes 0, 1, 2
        for k in range(PLANES_MAX - 1):
            ram = BlockRam(size, in_position // (2 if k == 0 else 4))
            m.submodules[f"plane{k}"] = ram
            below.append(ram)
            m.d.comb += ram.r_addr.eq(self.slot.group)
        coming = self.coming if self._early else self.slot
        m.d.comb += [
            left.r_addr.eq(self.slot.index),
            line.r_addr.eq(coming.ahead),
            above.r_addr.eq(coming.index),
        ]
        for ram in (left, line, above, *below):
            m.d.comb += [ram.r_en.eq(1), ram.r_next.eq(1)]
        classes = Signal(size)
        self._store(m, classes, left, line, below)
        # Where the line is asked, a row has three positions or more: it was written long ago.
        further, over = (register(m, ram.r_data, int(self._early)) for ram in (line, above))
        contexts = self._contexts(m, classes, left, further, above, over, below)
        words = paired_tables(m, "table", STATISTIC_BITS, self.write, contexts)
        m.d.comb += Cat(self.o).eq(Cat(words))
        return m

    def _classes(self, m: Module, plane0: list[Value]) -> Value:
        """Classes of a slot, ``loop`` cycles behind it; those of plane 0 when they are read."""
        head, plane = self.head, self.slot.plane
        nibbles = head.transform == Transform.NIBBLES
        # In plane 1 of nibbles, lanes whose symbol of plane 0 is not 0 have the highest class.
        second = register(m, nibbles & (plane == 1), BlockRam.latency)
        forced = register(
            m, Cat(second & one.any() for one in plane0), self._feedback - BlockRam.latency
        )
        signed = register(m, ~nibbles & ~(unipolar(head) & (plane == 0)), self._feedback)
        rows = [class_of(token, sign) for sign in (False, True) for token in range(2**TOKEN_BITS)]
        return register(
            m,
            Cat(
                _lookup(rows, Cat(token, signed), CLASS_BITS) | forced[lane].replicate(CLASS_BITS)
                for lane, token in enumerate(self.tokens)
            ),
        )

    def _store(
        self, m: Module, classes: Value, left: BlockRam, line: BlockRam, below: list[BlockRam]
    ) -> None:
        """Write classes, ``loop`` cycles behind their slot, where later slots read them."""
        slot, cycles = self.slot, self.loop
        valid = register_flag(m, self.i_valid, cycles)
        plane, group = register(m, slot.plane, cycles), register(m, slot.group, cycles)
        for ram, number in ((left, slot.index), (line, slot.here)):
            m.d.comb += [
                ram.w_en.eq(valid),
                ram.w_addr.eq(register(m, number, cycles)),
                ram.w_data.eq(classes),
            ]
        for k, ram in enumerate(below):
            m.d.comb += [
                ram.w_en.eq(valid & (plane == k)),
                ram.w_addr.eq(group),
                ram.w_data.eq(classes),
            ]

    def _contexts(
        self, m: Module, classes: Signal,
        left: BlockRam, further: Value, above: BlockRam, over: Value, below: list[BlockRam],
    ) -> list[Value]:  # fmt: skip
        """Context of each lane, a cycle behind what is read; also the classes themselves.

        ``further`` and ``over`` have been read from the line and from ``above``.
        """
        cycles = BlockRam.latency
        slot = self.slot
        # The memories do not have the slot of `loop` cycles ago yet. If it is of the same group, it
        # is of the same plane in the position before, or of the plane before.
        recent = register(m, classes, cycles)
        near = register_flag(m, self.i_valid, self.loop) & (
            register(m, slot.group, self.loop) == slot.group
        )
        near_left = register(m, near & (self.head.transform == Transform.BYPASS), cycles)
        near0, near2 = (register(m, near & (slot.plane == k + 1), cycles) for k in (0, 2))
        # In the first row, and with one column, all four neighbours are the same one.
        flat = register(m, slot.first_row | slot.one_col, cycles)
        origin = register(m, slot.first_row & slot.first, cycles)
        first, last, two_cols, plane = (
            register(m, slot[name], cycles) for name in ("first", "last", "two_cols", "plane")
        )
        which = Mux(plane == 0, Mux(flat, 0, 1), Mux(plane == 3, 3, 2))
        later: list[Value] = []  # N and NW of the next position
        sooner: list[Value] = []
        contexts, plane0 = [], []
        for lane in range(self._lanes):
            beside = Mux(near_left, _of(recent, lane), _of(left.r_data, lane))
            before = Mux(origin, 0, beside)
            # With two columns it is in the position before this one; the line may not have it yet.
            ahead = Mux(two_cols, beside, _of(further, lane))
            n, nw = _of(over, lane), _of(over, self._lanes + lane)
            sooner.append(ahead)
            later.append(Mux(last, ahead, n))
            c0, c1, c2 = (_of(ram.r_data, lane) for ram in below)
            c2 = Mux(near2, _of(recent, lane), c2)
            # Half of it in the next cycle, since a context has all of that one to be chosen.
            total = _table2(
                register(m, c0),
                register(m, _table2(c1, c2, _plus)),
                lambda a, b: _plus((a + 1) >> 1, b),
            )
            plane0.append(Mux(near0, _of(recent, lane), c0))
            average = (Cat(1, nw) + Cat(1, Mux(last, n, ahead)))[2 : 2 + CLASS_BITS]
            w = register(m, Mux(flat, before, Mux(first, n, before)))
            x = Array((w, register(m, average), register(m, plane0[lane]), total))
            contexts.append(
                Cat(
                    x[register(m, which)],
                    register(m, Mux(flat, before, n)),
                    w,
                    register(m, plane),
                )
            )
        m.d.comb += [
            above.w_en.eq(register_flag(m, self.i_valid, cycles + 1)),
            above.w_addr.eq(register(m, slot.index, cycles + 1)),
            above.w_data.eq(register(m, Cat(*sooner, *later))),
        ]
        m.d.comb += classes.eq(self._classes(m, plane0))
        return contexts


def _of(classes: Value, lane: int) -> Value:
    """The class of a lane."""
    return classes[CLASS_BITS * lane : CLASS_BITS * (lane + 1)]
