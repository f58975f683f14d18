"""Counting slots of the coder RANS: which symbols come together, and where they lie.

With fewer than 8 lanes a slot goes through the gateware in 8 / ``lanes`` parts, one behind the
other, the lowest lanes first. Where components of the coder speak of slots and groups, parts are
meant: a group has ``lanes`` channels then, some perhaps none that there are.
"""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from fmzip.format import (
    BLOCK,
    PLANES,
    POSITION_SLOTS_MAX,
    ROW_SLOTS_MAX,
    STATE_SETS,
    TILE_SLOTS_MAX,
    Transform,
)
from fmzip_hw.layout import HeadLayout, beats_per_block
from fmzip_hw.multiply import small_product
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.sequence import DownCounter, TileWalker, blocks_per_pixel

PLANES_MAX = max(PLANES.values())
_SIDE_BITS = TILE_SLOTS_MAX.bit_length()

# Of a tile, in positions.
_Size = data.StructLayout({
    "cols": _SIDE_BITS,
    "rows": _SIDE_BITS,
    "one_col": 1,
    "two_cols": 1,
    "one_row": 1,
    "sets": range(STATE_SETS + 1),
})  # fmt: skip


def position_parts_max(lanes: int) -> int:
    """Slots of a position, counted in parts of so many lanes."""
    return POSITION_SLOTS_MAX * beats_per_block(lanes)


def row_parts_max(lanes: int) -> int:
    """Slots of a row of positions, counted in parts."""
    return ROW_SLOTS_MAX * beats_per_block(lanes)


def place_layout(lanes: int) -> data.StructLayout:
    """Where a slot, or a part of it, lies."""
    in_position, in_row = ceil_log2(position_parts_max(lanes)), ceil_log2(row_parts_max(lanes))
    return data.StructLayout({
        "plane": ceil_log2(PLANES_MAX),
        "group": in_position,  # of channels
        "index": in_position,  # number of the slot in its position
        "here": in_row,  # number of the slot in its row of positions
        # The same of the slot one position further on; in the last position, of that in the first.
        "ahead": in_row,
        "first_row": 1,
        "first": 1,  # in the first position of its row
        "last": 1,  # in the last position of its row
        "one_col": 1,  # rows have one position
        "two_cols": 1,  # rows have two positions
        "keep": lanes,  # lanes with a channel
        "ends_position": 1,
        "ends_row": 1,
        "ends_tile": 1,
    })  # fmt: skip


def slot_layout(lanes: int) -> data.StructLayout:
    """A slot of numbers z: lane 0 in the lowest bits, ``last`` ends the tile, ``raw`` is its mode.

    In a raw tile with nibbles a slot holds both planes: z has 8 bits, and there is one plane.
    """
    return data.StructLayout({"z": data.ArrayLayout(8, lanes), "last": 1, "raw": 1})


class SlotSequencer(wiring.Component):
    """Walks over the slots of a frame in wire order.

    A slot per cycle, but for two cycles between tiles (more where one is tiny), and for
    ``loop - G`` cycles behind each plane where it has fewer than ``loop`` groups: so at least
    ``loop`` cycles pass between the same group in two planes, or in two positions.

    Parameters
    ----------
    loop : cycles
    column_loop : the same in tiles of one column; at least ``loop``
    lanes : 2, 4 or 8

    Members
    -------
    head : In(HeadLayout), shape and tile size; constant from ``start`` to ``done``. A tile, a row
        of positions, a position have at most ``TILE_SLOTS_MAX``, ``ROW_SLOTS_MAX``,
        ``POSITION_SLOTS_MAX`` slots
    start : In(1), begin a frame
    hold : In(1), do not begin the next tile yet
    whole : In(1), the next tile is raw: with nibbles, a slot holds both planes; in the cycle in
        which it is not held
    step : In(1), the current slot is done; only while ``valid``
    valid : Out(1), ``slot`` describes the current slot
    slot : Out(place_layout); ``ahead`` is not defined in a whole tile, nor with one column
    begun : Out(1), a tile is under way: from the cycle of its first slot to that of its last one
    sets : Out(4), of the current tile: number of its whole slots, at most 10; while ``begun``, not
        defined in a whole tile
    done : Out(1), no frame is under way
    """

    def __init__(self, loop: int = 1, column_loop: int = 0, lanes: int = BLOCK):
        self._loop, self._column_loop = loop, max(loop, column_loop)
        self._lanes, self._parts_log2 = lanes, exact_log2(beats_per_block(lanes))
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "hold": In(1),
            "whole": In(1),
            "step": In(1),
            "valid": Out(1),
            "slot": Out(place_layout(lanes)),
            "begun": Out(1),
            "sets": Out(range(STATE_SETS + 1)),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head = self.head
        m.submodules.walker = walker = TileWalker(_SIDE_BITS)
        is_wht4 = register(m, head.transform == Transform.WHT4)
        is_nibbles = register(m, head.transform == Transform.NIBBLES)
        groups = register(m, blocks_per_pixel(head))
        per_position = register(
            m, Mux(is_wht4, groups << 2, Mux(is_nibbles, groups << 1, groups))
        )[: ceil_log2(ROW_SLOTS_MAX)]  # fmt: skip
        begin = Signal()  # the next tile's size becomes the current one's
        load = register_flag(m, begin)  # and the counters are set from it
        final = self.step & self.slot.ends_tile
        coming, settled = self._coming(m, walker, is_wht4, per_position)
        size = Signal(_Size)
        m.d.comb += [
            walker.head.eq(head),
            walker.start.eq(self.start),
            walker.step.eq(begin),
            begin.eq(~self.begun & ~load & settled & ~self.hold),
            self.sets.eq(size.sets),
            self.done.eq(walker.done & ~self.begun & ~load),
        ]
        last_plane = Signal(range(PLANES_MAX))  # of the current tile
        single_plane = Signal()
        with m.If(begin):
            is_single = ~is_wht4 & (~is_nibbles | self.whole)
            m.d.sync += [
                size.eq(coming),
                single_plane.eq(is_single),
                last_plane.eq(Mux(is_single, 0, Mux(is_wht4, 3, 1))),
            ]
        with m.If(load):
            m.d.sync += self.begun.eq(1)
        with m.Elif(final):
            m.d.sync += self.begun.eq(0)
        ends_plane, left = self._places(m, load, groups, size, last_plane, single_plane)
        self._numbers(m, load, ends_plane, left, per_position << self._parts_log2, size)
        pause = self._pause(
            m, self.step & ends_plane, groups << self._parts_log2, size.one_col
        )  # fmt: skip
        m.d.comb += self.valid.eq(self.begun & ~pause)
        return m

    def _coming(
        self, m: Module, walker: TileWalker, is_wht4: Value, per_position: Value
    ) -> tuple[Value, Value]:
        """Size of the next tile in positions, and whether it is known."""
        coming = Signal(_Size)
        settled: Value = walker.valid
        for _ in range(7):  # as many registers as there are below
            settled = register_flag(m, settled & walker.valid)
        for name, single in (("cols", "one_col"), ("rows", "one_row")):
            pixels = walker.size[name]
            positions = register(m, Mux(is_wht4, (pixels + 1) >> 1, pixels)[:_SIDE_BITS])
            m.d.sync += [coming[name].eq(positions), coming[single].eq(positions == 1)]
            if name == "cols":
                m.d.sync += coming.two_cols.eq(positions == 2)
        few = _at_most_sets(m, register(m, per_position))
        for side in (coming.cols, coming.rows):
            few = _at_most_sets(m, register(m, small_product(few, _at_most_sets(m, side))))
        m.d.comb += coming.sets.eq(few)
        return coming, settled & walker.valid

    def _places(
        self, m: Module, load: Value, groups: Value, size: data.View, last_plane: Value, one: Value
    ) -> tuple[Value, Value]:
        """Counters of groups, planes, columns and rows.

        Returns whether the plane ends with this slot, and positions of the row, from this one on.
        """
        slot = self.slot
        plane = Signal.like(slot.plane)
        first, first_row = Signal(), Signal()
        m.submodules.group = group = DownCounter(ceil_log2(POSITION_SLOTS_MAX) + 1)  # of blocks
        m.submodules.col = col = DownCounter(_SIDE_BITS)
        m.submodules.row = row = DownCounter(_SIDE_BITS)
        in_last_plane = Signal()
        tail = register(m, self.head.channels[: ceil_log2(BLOCK)])
        in_tail = register(m, Mux(tail == 0, (1 << BLOCK) - 1, (1 << tail) - 1)[:BLOCK])
        ends_block, ends_plane = self.step, group.last
        if self._lanes != BLOCK:
            part = slot.group[: self._parts_log2]
            in_tail = in_tail.word_select(part, self._lanes)
            ends_block, ends_plane = self.step & part.all(), group.last & part.all()
        m.d.comb += [
            slot.plane.eq(plane),
            slot.first.eq(first),
            slot.first_row.eq(first_row),
            slot.ends_position.eq(ends_plane & in_last_plane),
            slot.ends_row.eq(slot.ends_position & col.last),
            slot.ends_tile.eq(slot.ends_row & row.last),
            slot.last.eq(col.last),
            slot.one_col.eq(size.one_col),
            slot.two_cols.eq(size.two_cols),
            slot.keep.eq(Mux(group.last, in_tail, (1 << self._lanes) - 1)),
            group.first.eq(groups),
            group.single.eq(register(m, groups == 1)),
            group.step.eq(ends_block),
            col.first.eq(size.cols),
            col.single.eq(size.one_col),
            col.step.eq(self.step & slot.ends_position),
            row.first.eq(size.rows),
            row.single.eq(size.one_row),
            row.step.eq(self.step & slot.ends_row),
        ]
        for counter in (group, col, row):
            m.d.comb += counter.load.eq(load)
        with m.If(load):
            m.d.sync += [plane.eq(0), in_last_plane.eq(one), first.eq(1), first_row.eq(1)]
        with m.Elif(self.step & ends_plane):
            m.d.sync += [
                plane.eq(Mux(in_last_plane, 0, plane + 1)),
                in_last_plane.eq(one | (~in_last_plane & (plane + 1 == last_plane))),
            ]
            with m.If(in_last_plane):
                m.d.sync += [first.eq(col.last), first_row.eq(first_row & ~col.last)]
        return ends_plane, col.count

    def _numbers(
        self,
        m: Module,
        load: Value,
        ends_plane: Value,
        left: Value,
        per_position: Value,
        size: data.View,
    ) -> None:
        """Numbers of the slot in its plane, in its position and in its row."""
        slot = self.slot
        names = ("group", "index", "here", "ahead")
        group, index, here, ahead = (Signal.like(slot[name], name=name) for name in names)
        m.d.comb += [
            slot[name].eq(number)
            for name, number in zip(names, (group, index, here, ahead), strict=True)
        ]
        next_is_last = Signal()
        with m.If(load):
            m.d.sync += [group.eq(0), index.eq(0), here.eq(0), ahead.eq(per_position)]
            m.d.sync += next_is_last.eq(size.two_cols)
        with m.Elif(self.step):
            m.d.sync += [
                group.eq(Mux(ends_plane, 0, group + 1)),
                index.eq(Mux(slot.ends_position, 0, index + 1)),
                here.eq(Mux(slot.ends_row, 0, here + 1)),
                ahead.eq(ahead + 1),
            ]
            with m.If(slot.ends_position):
                m.d.sync += next_is_last.eq(Mux(slot.last, size.two_cols, left == 3))
                with m.If(next_is_last):
                    m.d.sync += ahead.eq(0)

    def _pause(self, m: Module, ends: Value, groups: Value, one_col: Value) -> Value:
        """Whether to wait, behind a plane of few groups."""
        pausing = Signal()
        if self._column_loop == 1:
            return pausing
        loop: Value = Const(self._loop)
        if self._column_loop != self._loop:
            loop = Mux(one_col, self._column_loop, self._loop)
        some = register(m, groups < loop)
        cycles = register(m, (loop - groups)[: ceil_log2(self._column_loop)])
        left = Signal.like(cycles)
        with m.If(ends & some):
            m.d.sync += [pausing.eq(1), left.eq(cycles)]
        with m.Elif(pausing):
            m.d.sync += [left.eq(left - 1), pausing.eq(left != 1)]
        return pausing


def _at_most_sets(m: Module, value: Value) -> Value:
    """``value``, at most 10, in a register."""
    bits = STATE_SETS.bit_length()
    return register(m, Mux(value >= STATE_SETS, STATE_SETS, value)[:bits])
