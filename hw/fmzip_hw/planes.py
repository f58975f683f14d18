"""Between the values of a position and its planes: both ways of the coder RANS's transforms."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import (
    BLOCK,
    MULTIPLIER_BITS,
    PLANES,
    RANS_STEP_PER_LSB,
    STATE_SETS,
    Dtype,
    Transform,
)
from fmzip_hw.adder import add_or_subtract
from fmzip_hw.blockcode import unipolar
from fmzip_hw.diffuse import COEFFICIENT_BITS, Diffuser, DiffusionLayout
from fmzip_hw.layout import HeadLayout, beat_layout
from fmzip_hw.multiply import Multiplier
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.positions import BANKS, PositionBuffer, Rounds, spatial
from fmzip_hw.reconstruct import zero_of
from fmzip_hw.sequence import DownCounter
from fmzip_hw.slots import SlotSequencer, place_layout, slot_layout
from fmzip_hw.stream import CreditFifo

_SETTLE = 4  # cycles in which what follows from a new head is computed
_SIDE_BITS = 16
_STEP_BITS = 17  # twice the step
_VALUE_CYCLES = 8  # from a position's buffer to a value


def planes_of(head: data.View) -> Value:
    """Planes of a position."""
    count: Value = Mux(head.transform == Transform.NIBBLES, PLANES[Transform.NIBBLES], 1)
    return Mux(spatial(head), PLANES[Transform.WHT4], count)


def pixels_of(head: data.View) -> Value:
    """Pixels of a position."""
    return Mux(spatial(head), BANKS, 1)


def butterfly(m: Module, four: list[Value], number: Value) -> Signal:
    """One of the four Walsh-Hadamard sums of four numbers, two cycles later.

    The sums of coefficients make pixels, too: the matrix is its own transpose.
    """
    one_later = register(m, number[1])
    first, second = (
        register(m, add_or_subtract(m, four[k], four[k + 1], number[0])) for k in (0, 2)
    )
    return register(m, add_or_subtract(m, first, second, one_later))


class PlaneGather(wiring.Component):
    """Coefficients of slots from values in wire order: the transforms of section 10.2.

    A beat per cycle comes and a slot per cycle leaves, as long as there are as many: with NIBBLES
    a position leaves twice. A slot leaves when its whole position is there. Two positions are
    held. Slots of the same group in two positions are as far apart as ``Diffuser`` wants.

    Parameters
    ----------
    lanes : 2, 4 or 8; see ``slots`` for what a slot is with less than 8

    Members
    -------
    head : In(HeadLayout), constant from ``start`` until the last slot has left
    start : In(1), begin a frame; only while ``done``
    i : In(stream of lanes x 8), values in wire order; a pixel's last beat may have fewer
    take : Out, how many lanes of the next beat are values; the others are ignored
    done : Out(1), all values of the frame have been taken
    free : In(1), a slot may leave in this cycle; ``leave`` : Out(1), it does
    ends : Out(1), with ``leave``: it is the tile's last one
    o_valid : Out(1), a slot is there, ``latency`` cycles behind ``leave``
    o : Out(lanes x signed(11)), its coefficients; 0 in lanes without a channel
    slot, sets : Out(place_layout), Out(4), see ``SlotSequencer``
    """

    latency = PositionBuffer.latency + 3

    def __init__(self, lanes: int = BLOCK):
        self._lanes = lanes
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "i": In(stream.Signature(data.ArrayLayout(8, lanes))),
            "take": Out(range(lanes + 1)),
            "done": Out(1, init=1),
            "free": In(1),
            "leave": Out(1),
            "ends": Out(1),
            "o_valid": Out(1),
            "o": Out(data.ArrayLayout(signed(COEFFICIENT_BITS), lanes)),
            "slot": Out(place_layout(lanes)),
            "sets": Out(range(STATE_SETS + 1)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._lanes
        m.submodules.buffer = buffer = PositionBuffer(lanes)
        m.submodules.sequencer = sequencer = SlotSequencer(
            Diffuser.loop, Diffuser.column_loop, lanes
        )
        head, slot = self.head, sequencer.slot
        tail = register(m, head.channels[: exact_log2(lanes)])
        begin = register_flag(m, self.start, _SETTLE)
        put = self.i.valid & self.i.ready
        m.d.comb += [
            buffer.head.eq(head),
            buffer.start.eq(begin),
            buffer.i_rounds.eq(register(m, pixels_of(head))),
            buffer.put.eq(put),
            buffer.i.eq(self.i.payload),
            buffer.halves.eq(0b11),
            buffer.take.eq(self.leave),
            buffer.o_group.eq(slot.group),
            buffer.o_end.eq(slot.ends_position),
            self.take.eq(Mux(buffer.i_last_group & tail.any(), tail, lanes)),
            sequencer.head.eq(head),
            sequencer.start.eq(self.start),
            sequencer.step.eq(self.leave),
            self.leave.eq(buffer.some & sequencer.valid & self.free),
            self.ends.eq(slot.ends_tile),
            self.slot.eq(register(m, slot, self.latency)),
            self.sets.eq(register(m, sequencer.sets, self.latency)),
            self.o_valid.eq(register_flag(m, self.leave, self.latency)),
        ]
        ends = put & buffer.i_end
        opened = self._count(m, begin, ends)
        # Positions are counted a cycle late. Those of one word may follow each other only then;
        # they leave more slowly in any case.
        counting = register_flag(m, ends & register(m, (head.channels <= lanes) & ~spatial(head)))
        m.d.comb += [
            self.i.ready.eq(opened & buffer.room & ~counting),
            self.done.eq(~opened & sequencer.done),
        ]

        # Values of int8 have a sign; the zero point comes off the sums, where it does not cancel.
        is_signed = register(m, head.dtype == Dtype.INT8)
        zero = Cat(head.zero_point, head.zero_point[-1] & (head.dtype == Dtype.INT8)).as_signed()
        plane = register(m, slot.plane, buffer.latency)
        wide = register(m, spatial(head))
        number = Mux(wide, plane, 0)
        offset = register(m, Mux(wide, Mux(plane == 0, zero << 2, 0), zero), 2)
        keep = register(m, slot.keep, buffer.latency + 2)
        for lane in range(lanes):
            four = [Cat(bank[lane], bank[lane][-1] & is_signed).as_signed() for bank in buffer.o]
            total = butterfly(m, four, number)
            value = Mux(keep[lane], total - offset, 0)[:COEFFICIENT_BITS]
            m.d.comb += self.o[lane].eq(register(m, value))
        return m

    def _count(self, m: Module, begin: Value, step: Value) -> Value:
        """Whether positions of the frame are still to come: what follows belongs to the next."""
        opened = Signal()
        wide = spatial(self.head)
        counters = []
        for name in ("width", "height"):
            counter = DownCounter(_SIDE_BITS)
            m.submodules[f"{name}_left"] = counter
            counters.append(counter)
            size = self.head[name]
            positions = register(m, Mux(wide, (size >> 1) + size[0], size))
            m.d.comb += [
                counter.first.eq(positions),
                counter.single.eq(register(m, positions == 1)),
                counter.load.eq(begin),
            ]
        across, down = counters
        late = register_flag(m, step)
        m.d.comb += [across.step.eq(late), down.step.eq(late & across.last)]
        with m.If(begin):
            m.d.sync += opened.eq(1)
        with m.Elif(step & across.last & down.last):
            m.d.sync += opened.eq(0)
        return opened


class PlaneCoder(wiring.Component):
    """Numbers z of a frame's slots from its values: section 10.2 of the format.

    A beat per cycle comes and a slot per cycle leaves, see ``PlaneGather``, whose slots do not
    stall on their way. With NIBBLES both slots of a group have z, not a part of it.

    Parameters
    ----------
    lanes : 2, 4 or 8; see ``slots`` for what a slot is with less than 8

    Members
    -------
    head, start, i, take, done, free, leave, ends : of ``PlaneGather``
    multiplier, diffusion : of ``Diffuser``
    o_valid : Out(1), a slot is there, ``latency`` cycles behind ``leave``
    o : Out(lanes x 8)
    slot, sets : of ``PlaneGather``
    coming : Out(place_layout), ``slot`` of the next cycle
    """

    latency = PlaneGather.latency + Diffuser.latency

    def __init__(self, lanes: int = BLOCK):
        self._lanes = lanes
        super().__init__({
            "head": In(HeadLayout),
            "multiplier": In(MULTIPLIER_BITS),
            "diffusion": In(DiffusionLayout),
            "start": In(1),
            "i": In(stream.Signature(data.ArrayLayout(8, lanes))),
            "take": Out(range(lanes + 1)),
            "done": Out(1, init=1),
            "free": In(1),
            "leave": Out(1),
            "ends": Out(1),
            "o_valid": Out(1),
            "o": Out(data.ArrayLayout(8, lanes)),
            "slot": Out(place_layout(lanes)),
            "coming": Out(place_layout(lanes)),
            "sets": Out(range(STATE_SETS + 1)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.gather = gather = PlaneGather(self._lanes)
        m.submodules.diffuser = diffuser = Diffuser(self._lanes)
        wiring.connect(m, wiring.flipped(self.i), gather.i)
        first_plane = (gather.slot.plane == 0) | (self.head.transform == Transform.NIBBLES)
        m.d.comb += [
            diffuser.multiplier.eq(self.multiplier),
            diffuser.diffusion.eq(self.diffusion),
            gather.head.eq(self.head),
            gather.start.eq(self.start),
            self.take.eq(gather.take),
            self.done.eq(gather.done),
            gather.free.eq(self.free),
            self.leave.eq(gather.leave),
            self.ends.eq(gather.ends),
            diffuser.i_valid.eq(gather.o_valid),
            diffuser.i.eq(gather.o),
            diffuser.slot.unsigned.eq(register(m, unipolar(self.head)) & first_plane),
            self.o_valid.eq(diffuser.o_valid),
            self.o.eq(diffuser.o),
            self.coming.eq(register(m, gather.slot, diffuser.latency - 1)),
            self.slot.eq(register(m, self.coming)),
            self.sets.eq(register(m, gather.sets, diffuser.latency)),
        ]
        for name in diffuser.slot.shape().members:
            if name != "unsigned":
                m.d.comb += diffuser.slot[name].eq(gather.slot[name])
        return m


class PlaneScatter(wiring.Component):
    """Values in wire order from the numbers z of slots: section 10.3 of the format.

    A slot per cycle comes and a beat per cycle leaves, as long as there are as many. The first
    beat of a position leaves ``latency`` cycles behind its last slot. Three positions or so are
    held under backpressure.

    Parameters
    ----------
    lanes : 2, 4 or 8; see ``slots`` for what a slot is with less than 8

    Members
    -------
    head : In(HeadLayout), constant from ``start`` until the last beat has left
    start : In(1), begin a frame
    i : In(stream of slot_layout), slots in wire order
    o : Out(stream of beat_layout), values in wire order; copies of missing pixels too
    """

    latency = 1 + PositionBuffer.latency + _VALUE_CYCLES + CreditFifo.latency

    def __init__(self, lanes: int = BLOCK):
        self.lanes = lanes
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "i": In(stream.Signature(slot_layout(lanes))),
            "o": Out(stream.Signature(beat_layout(lanes))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.lanes
        m.submodules.buffer = buffer = PositionBuffer(lanes, padded=True)
        m.submodules.leaving = leaving = Rounds(lanes)
        m.submodules.out = out = CreditFifo(beat_layout(lanes), depth=32)
        wiring.connect(m, out.o, wiring.flipped(self.o))
        head = self.head
        begin, opened = register_flag(m, self.start, _SETTLE), Signal()
        with m.If(self.start):
            m.d.sync += opened.eq(0)
        with m.Elif(begin):
            m.d.sync += opened.eq(1)
        put, take = Signal(), Signal()
        slot = self.i.payload
        # With NIBBLES each plane fills its half, unless one slot has both.
        halved = register(m, head.transform == Transform.NIBBLES) & ~slot.raw
        upper = halved & (buffer.i_round == 0)
        m.d.comb += [
            buffer.head.eq(head),
            buffer.start.eq(begin),
            buffer.i_rounds.eq(register(m, planes_of(head))),
            leaving.head.eq(head),
            leaving.start.eq(begin),
            leaving.rounds.eq(register(m, pixels_of(head))),
            leaving.step.eq(take),
            buffer.o_group.eq(leaving.group),
            buffer.o_end.eq(leaving.end),
            buffer.i_whole.eq(slot.raw & ~register(m, spatial(head))),
            self.i.ready.eq(opened & buffer.room),
            put.eq(self.i.valid & self.i.ready),
            buffer.put.eq(put),
            buffer.i_mark.eq(slot.last),
            buffer.halves.eq(Mux(halved, Mux(upper, 0b10, 0b01), 0b11) & put.replicate(2)),
            take.eq(buffer.some & out.free),
            buffer.take.eq(take),
            out.reserve.eq(take),
        ]
        for lane in range(lanes):
            z = slot.z[lane]
            m.d.comb += buffer.i[lane].eq(Cat(z[:4], Mux(upper, z[:4], z[4:])))

        tail = head.channels[: exact_log2(lanes)]
        in_tail = register(m, Mux(tail == 0, (1 << lanes) - 1, (1 << tail) - 1)[:lanes])
        cycles = buffer.latency + _VALUE_CYCLES
        m.d.comb += [
            out.put.eq(register_flag(m, take, cycles)),
            out.payload.last.eq(register(m, leaving.end & buffer.o_mark, cycles)),
            out.payload.keep.eq(
                register(m, Mux(leaving.last_group, in_tail, (1 << lanes) - 1), cycles)
            ),
        ]
        for lane in range(lanes):
            m.d.comb += out.payload.data[lane].eq(self._value(m, lane, buffer, leaving.round))
        return m

    def _value(self, m: Module, lane: int, buffer: PositionBuffer, pixel: Value) -> Value:
        """The value of a lane, ``_VALUE_CYCLES`` behind the buffer."""
        head = self.head
        wide, one_sided = register(m, spatial(head)), register(m, unipolar(head))
        numbers = []
        for k in range(BANKS):
            z = buffer.o[k][lane]
            # The other banks give 0 where a number has one bank only.
            plain = one_sided & (~wide if k else 1)
            folded = Cat(z[1:] ^ z[0].replicate(7), z[0])
            q = Mux(plain, Cat(z, 0), Cat(folded, folded[-1]))
            numbers.append(register(m, q.as_signed()))
        pixel = register(m, pixel, buffer.latency + 1)
        total = butterfly(m, list(numbers), pixel)

        m.submodules[f"steps{lane}"] = steps = Multiplier(total.shape(), unsigned(_STEP_BITS))
        # Half as much for WHT4, whose coefficients are twice those of an orthonormal transform.
        step = register(m, Mux(wide, head.step, head.step << 1))
        m.d.comb += [steps.a.eq(total), steps.b.eq(step)]
        shift = exact_log2(RANS_STEP_PER_LSB) + 1
        # Zero point and half a unit in one sum; int8 has been moved to 0..255.
        moved = register(m, Cat(1, zero_of(head)))
        value = register(m, steps.o[shift - 1 :].as_signed() + moved) >> 1
        low = register(m, value[:8])
        under = register(m, value[-1])
        over = register(m, value[8:].any())
        clamped = Mux(under, 0, low | over.replicate(8))
        top = register(m, head.dtype == Dtype.INT8)
        return register(m, clamped[:8] ^ (top << 7))
