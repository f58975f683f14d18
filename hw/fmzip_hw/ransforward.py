"""The forward pass of the rANS encoder: statistics, escapes, and whether a tile is stored raw."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, ESCAPE, STATE_SETS, STATISTICS_MAX, Transform
from fmzip_hw.contexts import ContextFormer
from fmzip_hw.layout import HeadLayout, absent_lanes
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.ransjudge import EscapeSerial, Judge, escaped_layout
from fmzip_hw.ransreverse import TileLayout, passed_layout
from fmzip_hw.slots import place_layout
from fmzip_hw.stream import CreditFifo
from fmzip_hw.tables import TOKEN_BITS, ContextWrite, EntryWrite, LimitWrite


class ForwardPass(wiring.Component):
    """Finds the statistic of each symbol, and at the end of a tile how it is stored.

    A slot per cycle, but for as many cycles as it has escapes: they go byte by byte. Slots come
    without stalls, the same number of cycles behind ``enter``; those of the same group in two
    planes or positions ``loop`` cycles apart, or more. ``latency`` cycles from a slot to ``write``;
    ``tile_gap`` cycles and those from ``enter`` to the slot pass between two tiles.

    Parameters
    ----------
    lanes : 2, 4 or 8; see ``slots`` for what a slot is with less than 8

    Members
    -------
    head : In(HeadLayout), constant from ``start`` on
    context, entry, limit : In, writes to the tables; while nothing is coded
    room : In(1), there is a place for another slot behind this
    free : Out(1), a slot may enter; enter : In(1), one does; ends : In(1), it is the tile's last
    i_valid : In(1), a slot is there
    z : In(lanes x 8), its numbers, 0 in lanes without a channel. With nibbles both planes have all
    place, sets : In(place_layout), In(4), see ``SlotSequencer``
    coming : In(place_layout), ``place`` of the next cycle, if there is a slot then
    write, slot : Out(1), Out(passed_layout), it goes to the backward pass
    tile : Out(stream of TileLayout), the tile is complete; the next one begins when it is taken
    escapes : Out(stream of 8)
    """

    _feedback = ContextFormer.latency + 2
    loop = _feedback + 1
    latency = _feedback

    def __init__(self, lanes: int = BLOCK) -> None:
        self._lanes, self._judge = lanes, Judge(lanes)
        self.tile_gap = self.latency + self._judge.latency + 1
        super().__init__({
            "head": In(HeadLayout),
            "context": In(ContextWrite),
            "entry": In(EntryWrite),
            "limit": In(LimitWrite),
            "room": In(1),
            "free": Out(1),
            "enter": In(1),
            "ends": In(1),
            "i_valid": In(1),
            "z": In(data.ArrayLayout(8, lanes)),
            "place": In(place_layout(lanes)),
            "coming": In(place_layout(lanes)),
            "sets": In(range(STATE_SETS + 1)),
            "write": Out(1),
            "slot": Out(passed_layout(lanes)),
            "tile": Out(stream.Signature(TileLayout)),
            "escapes": Out(stream.Signature(8)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.former = former = ContextFormer(self._feedback, self._lanes, early=True)
        assert former.loop == self.loop
        m.submodules.queue = queue = CreditFifo(escaped_layout(self._lanes), depth=32)
        m.submodules.serial = serial = EscapeSerial(self._lanes)
        m.submodules.judge = judge = self._judge
        wiring.connect(m, queue.o, serial.i)
        wiring.connect(m, serial.o, wiring.flipped(self.escapes))
        wiring.connect(m, judge.tile, wiring.flipped(self.tile))

        is_open = Signal(init=1)  # the tile before has been taken
        with m.If(self.tile.valid & self.tile.ready):
            m.d.sync += is_open.eq(1)
        with m.Elif(self.enter & self.ends):
            m.d.sync += is_open.eq(0)
        m.d.comb += [
            self.free.eq(is_open & self.room & queue.free),
            queue.reserve.eq(self.enter),
        ]

        sets = register(m, self.sets, enable=self.i_valid)
        valid, slot, z = self.i_valid, self.place, Cat(self.z)
        is_nibbles = register(m, self.head.transform == Transform.NIBBLES)
        upper = is_nibbles & (slot.plane == 0)
        m.d.comb += [
            former.head.eq(self.head),
            former.i_valid.eq(valid),
            former.slot.eq(slot),
            former.coming.eq(self.coming),
            former.write.eq(self.context),
        ]
        found, cycles = judge.slot, self._feedback
        for lane in range(self._lanes):
            byte = z[8 * lane : 8 * lane + 8]
            symbol = register(m, Cat(Mux(upper, byte[4:], byte[:4]), Mux(is_nibbles, 0, byte[4:])))
            # A symbol above 30 is above any limit.
            token = register(m, Mux(_is_large(symbol), ESCAPE, symbol[:TOKEN_BITS]))
            token = register(m, token, cycles - 3)
            limit = register(m, self._limit(m, lane, former.o[lane]))
            escape = token > limit
            m.d.sync += [
                found.escaped.flags[lane].eq(escape),
                found.tokens[lane].eq(Mux(escape, ESCAPE, token)),
                found.statistics[lane].eq(register(m, former.o[lane])),
            ]
            m.d.comb += [
                found.escaped.symbols[lane].eq(register(m, symbol, cycles - 1)),
                former.tokens[lane].eq(found.tokens[lane]),
            ]
        m.d.comb += [
            found.last.eq(register(m, slot.ends_tile, cycles)),
            found.upper.eq(register(m, upper, cycles)),
            found.absent.eq(register(m, absent_lanes(slot.keep), cycles)),
            judge.head.eq(self.head),
            judge.entry.eq(self.entry),
            judge.valid.eq(register_flag(m, valid, cycles)),
            judge.sets.eq(sets),
            queue.put.eq(judge.put),
            queue.payload.eq(judge.payload),
            self.write.eq(judge.valid),
            Cat(self.slot.z).eq(register(m, z, cycles)),
            self.slot.escape.eq(found.escaped.flags),
            self.slot.upper.eq(found.upper),
            self.slot.absent.eq(found.absent),
            Cat(self.slot.statistic).eq(Cat(found.statistics)),
        ]
        return m

    def _limit(self, m: Module, lane: int, statistic: Value) -> Value:
        """The highest token of a statistic, in the same cycle: the classes wait for it."""
        m.submodules[f"limit{lane}"] = limits = Memory(
            shape=TOKEN_BITS, depth=STATISTICS_MAX, init=[]
        )
        write, read = limits.write_port(), limits.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.limit.en),
            write.addr.eq(self.limit.address),
            write.data.eq(self.limit.data),
            read.addr.eq(statistic),
        ]
        return read.data


def _is_large(symbol: Value) -> Value:
    """The symbol is not below 31; no carry chain."""
    return symbol[TOKEN_BITS:].any() | symbol[:TOKEN_BITS].all()
