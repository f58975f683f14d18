"""The projection engine: an integer matrix times the values of a position, P products a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import (
    COMPONENT_BITS,
    COMPONENT_MAX,
    PROJECTION_BITS,
    SUM_BITS,
)
from fmzip.regs import BLOCK_FIELDS, PROJECTION_BLOCKS, PROJECTION_VALUES, ProjectionKind
from fmzip_hw.memory import BlockRam
from fmzip_hw.multiply import Multiplier
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.projectsize import ProjectionSize
from fmzip_hw.projecttables import ProjectionWrite, write_of

BlockLayout = data.StructLayout(BLOCK_FIELDS)
INPUT = signed(COMPONENT_BITS)  # of a product: a symbol, or a value less its zero point
RESULT = signed(COMPONENT_BITS)
_OFFSET_BITS = 32
_SUM = signed(SUM_BITS)


class ProjectionEngine(wiring.Component):
    """``clamp((matrix @ inputs + offset) >> shift)`` of one position after the other.

    The rows of the matrix are cut into **blocks** of up to P outputs, which the multipliers make
    together, an input per cycle. A block takes as many cycles as it has inputs, at least P, since
    outputs leave one by one; fewer inputs are read in its last cycles. With P inputs or more, P
    products are made in every cycle, without a gap between blocks and positions. The first output
    leaves ``latency`` cycles behind the last read of its block. Equals ``reference.project`` of one
    matrix, clamped to symbols.

    Memories have two pages; one may be written while the other is in use.

    Parameters
    ----------
    size : P, and what the memories hold
    first : ``ProjectionKind`` of its first memory, FORWARD_BASE or INVERSE_BASE

    Members
    -------
    write : In(ProjectionWrite)
    page : In(1), constant from ``start`` on
    start : In(1), begin a frame; positions come ``settle`` cycles later at the earliest
    there : In(1), the inputs of a position can be read, and its outputs are wanted
    mark : In(1), with ``taken``: something of the position, which comes out with its outputs
    taken : Out(1), the position is begun
    address : Out, which of its inputs is read; ``input`` comes ``read_latency`` cycles later
    input : In(11), signed
    release : Out(1), the position's last input is read
    o_valid : Out(1), an output
    o : Out(11), signed
    o_index : Out, its number in the position
    o_last : Out(1), it is the position's last one
    o_mark : Out(1)
    """

    read_latency = 3
    latency = read_latency + Multiplier.latency + 2 + BlockRam.latency + 4
    settle = 4
    _finish_cycles = BlockRam.latency + 4

    def __init__(
        self, size: ProjectionSize, first: ProjectionKind = ProjectionKind.FORWARD_BASE
    ) -> None:
        self.multipliers = size.multipliers
        self._rows, self._values = size.entries // size.multipliers, size.values
        self._first = first
        super().__init__({
            "write": In(ProjectionWrite),
            "page": In(1),
            "start": In(1),
            "there": In(1),
            "mark": In(1),
            "taken": Out(1),
            "address": Out(range(size.values)),
            "input": In(INPUT),
            "release": Out(1),
            "o_valid": Out(1),
            "o": Out(RESULT),
            "o_index": Out(range(size.values)),
            "o_last": Out(1),
            "o_mark": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        load = Signal()
        following, fetched = self._fetch(m, load)
        block = Signal(BlockLayout, reset_less=True)
        busy = Signal()
        left = Signal(range(PROJECTION_VALUES))  # inputs that are still to be read, less 1
        reading, final = Signal(), Signal()  # an input is read, and it is the block's last one
        wait = Signal(range(self.multipliers))  # cycles until the first input is read
        fresh = Signal()  # it is
        address = Signal(range(self._values))
        row = Signal(range(self._rows))
        ends = busy & (~reading | final) & (wait == 0)
        # What is loaded outlasts the reset that a frame begins with, and may come meanwhile.
        bases = [Signal(range(self._rows), name=f"base{k}", reset_less=True) for k in range(2)]
        for k, base in enumerate(bases):
            with m.If(write_of(self.write, self._first) & (self.write.address[0] == k)):
                m.d.sync += base.eq(self.write.data)
        begin = register(m, Mux(self.page, bases[1], bases[0]))
        m.d.comb += [
            self.taken.eq(fetched & self.there & Mux(busy, ends & block.last, 1)),
            load.eq(self.taken | (fetched & ends & ~block.last)),
            self.address.eq(address),
            self.release.eq(reading & final & block.last),
        ]
        with m.If(reading):
            m.d.sync += [
                left.eq(left - 1),
                final.eq(left == 1),
                reading.eq(~final),
                address.eq(address + 1),
                row.eq(row + 1),
            ]
        m.d.sync += fresh.eq(0)
        with m.If(wait != 0):
            m.d.sync += [wait.eq(wait - 1), reading.eq(wait == 1), fresh.eq(wait == 1)]
        with m.If(ends & block.last):
            m.d.sync += busy.eq(0)
        # A block of few inputs reads them at its end: the outputs of the block in front, which may
        # have had more, have left by then.
        few = ~following.inputs[exact_log2(self.multipliers) :].any()
        gap = Mux(few, ~following.inputs[: len(wait)], 0)[: len(wait)]
        with m.If(load):
            m.d.sync += [
                block.eq(following),
                busy.eq(1),
                left.eq(following.inputs),
                reading.eq(gap == 0),
                fresh.eq(gap == 0),
                final.eq(following.inputs == 0),
                wait.eq(gap),
                address.eq(following.begin),
            ]
        with m.If(self.taken):
            m.d.sync += row.eq(begin)
        with m.If(self.start):
            m.d.sync += [busy.eq(0), reading.eq(0), wait.eq(0)]
        mark = register(m, self.mark, enable=self.taken)
        self._multiply(m, row, block, mark, fresh, reading & final)
        return m

    def _fetch(self, m: Module, load: Value) -> tuple[data.View, Signal]:
        """The next block, and whether it is there: some cycles behind ``load``."""
        m.submodules.blocks = blocks = BlockRam(BlockLayout.size, 2 * PROJECTION_BLOCKS)
        number = Signal(range(PROJECTION_BLOCKS))
        settling, fetched = Signal(range(self.settle)), Signal()
        following = data.View(BlockLayout, register(m, blocks.r_data))
        m.d.comb += [
            blocks.w_en.eq(write_of(self.write, self._first + 1)),
            blocks.w_addr.eq(self.write.address),
            blocks.w_data.eq(self.write.data),
            blocks.r_en.eq(1),
            blocks.r_next.eq(1),
            blocks.r_addr.eq(Cat(number, self.page)),
        ]
        with m.If(self.start | load):
            m.d.sync += [settling.eq(self.settle - 1), fetched.eq(0)]
            m.d.sync += number.eq(Mux(self.start | following.last, 0, number + 1))
        with m.Elif(settling != 0):
            m.d.sync += [settling.eq(settling - 1), fetched.eq(settling == 1)]
        return following, fetched

    def _entries(self, m: Module, row: Value) -> Value:
        """A row of entries, ``BlockRam.latency`` cycles later."""
        lanes = self.multipliers
        m.submodules.entries = memory = BlockRam(PROJECTION_BITS * lanes, self._rows)
        pairs = lanes // 2
        pair_bits = exact_log2(pairs)
        gathered = Signal(data.ArrayLayout(2 * PROJECTION_BITS, pairs), reset_less=True)
        write = self.write
        mine = write_of(write, self._first + 3)
        with m.If(mine):
            m.d.sync += gathered[write.address[:pair_bits]].eq(
                Cat(write.data[:PROJECTION_BITS], write.data[16 : 16 + PROJECTION_BITS])
            )
        m.d.comb += [
            memory.w_en.eq(register(m, mine & (write.address[:pair_bits] == pairs - 1))),
            memory.w_addr.eq(register(m, write.address[pair_bits:])),
            memory.w_data.eq(gathered),
            memory.r_en.eq(1),
            memory.r_next.eq(1),
            memory.r_addr.eq(row),
        ]
        return memory.r_data

    def _multiply(
        self, m: Module, row: Value, block: data.View, mark: Value, first: Value, final: Value
    ) -> None:
        """Products and sums of a block; behind its last input the sums leave one by one."""
        entries = self._entries(m, register(m, row, self.read_latency - BlockRam.latency))
        cycles = self.read_latency + Multiplier.latency
        first = register_flag(m, first, cycles)
        done = register_flag(m, final, cycles + 1)
        results = [
            Signal(_SUM, name=f"result{k}", reset_less=True) for k in range(self.multipliers)
        ]
        for k in range(self.multipliers):
            product = Multiplier(INPUT, signed(PROJECTION_BITS))
            m.submodules[f"product{k}"] = product
            entry = entries.word_select(k, PROJECTION_BITS).as_signed()
            total = Signal(_SUM, name=f"total{k}", reset_less=True)
            m.d.comb += [product.a.eq(self.input), product.b.eq(entry)]
            m.d.sync += total.eq(Mux(first, 0, total) + product.o)
            later = results[k + 1] if k + 1 < self.multipliers else 0
            m.d.sync += results[k].eq(Mux(done, total, later))
        outputs = register(m, block.outputs, cycles + 1)
        left = Signal.like(outputs)
        leaving = Signal()
        with m.If(done):
            m.d.sync += [left.eq(outputs), leaving.eq(1)]
        with m.Elif(leaving):
            m.d.sync += [left.eq(left - 1), leaving.eq(left != 0)]
        shift, last, mark = (
            register(m, register(m, value, cycles + 1), enable=done)
            for value in (block.shift, block.last, mark)
        )
        m.d.comb += self.o_mark.eq(register(m, mark, self._finish_cycles))
        self._finish(m, results[0], leaving, shift, leaving & last & (left == 0))

    def _finish(self, m: Module, total: Value, valid: Value, shift: Value, last: Value) -> None:
        """Offset, shift and clamp of a sum, one each cycle."""
        m.submodules.offsets = offsets = BlockRam(_OFFSET_BITS, 2 * self._values)
        index = Signal(range(self._values))
        with m.If(self.start | (valid & last)):
            m.d.sync += index.eq(0)
        with m.Elif(valid):
            m.d.sync += index.eq(index + 1)
        m.d.comb += [
            offsets.w_en.eq(write_of(self.write, self._first + 2)),
            offsets.w_addr.eq(self.write.address),
            offsets.w_data.eq(self.write.data),
            offsets.r_en.eq(1),
            offsets.r_next.eq(1),
            offsets.r_addr.eq(Cat(index, self.page)),
        ]
        wide = Signal(_SUM, reset_less=True)
        m.d.sync += wide.eq(register(m, total, BlockRam.latency) + offsets.r_data.as_signed())
        cycles = BlockRam.latency + 1
        shift = register(m, shift, cycles)
        value: Value = wide
        for k in reversed(range(len(shift))):
            value = Mux(shift[k], value >> (1 << k), value)
            if k in (3, 0):
                value, shift, cycles = register(m, value), register(m, shift), cycles + 1
        low, high = -COMPONENT_MAX, COMPONENT_MAX
        inside = Mux(value < low, low, Mux(value > high, high, value))
        cycles += 1
        assert cycles == self._finish_cycles
        m.d.comb += [
            self.o.eq(register(m, inside[:COMPONENT_BITS])),
            self.o_valid.eq(register_flag(m, valid, cycles)),
            self.o_index.eq(register(m, index, cycles)),
            self.o_last.eq(register(m, last, cycles)),
        ]
