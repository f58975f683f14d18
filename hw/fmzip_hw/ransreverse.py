"""The backward pass of the rANS encoder: slots of a tile in, its states and bytes out."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, STATE_BYTES, STATE_SETS, TOTAL_BITS, Transform
from fmzip_hw.bytestack import ByteStacker
from fmzip_hw.layout import HeadLayout, absent_bits, lanes_of
from fmzip_hw.pairedtable import PairedTable, paired_tables
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.ransstate import DivisorLayout, RansStates, reciprocal
from fmzip_hw.reversal import ReversalBuffer
from fmzip_hw.tables import STATISTIC_BITS, TOKEN_BITS, EntryWrite, write_layout

ESCAPE_BITS = 13


def passed_layout(lanes: int) -> data.StructLayout:
    """A slot as it waits for the backward pass. With nibbles `z` has both planes in either slot."""
    return data.StructLayout({
        "z": data.ArrayLayout(8, lanes),
        "statistic": data.ArrayLayout(STATISTIC_BITS, lanes),
        "escape": lanes,
        "upper": 1,  # the symbols are the upper nibbles
        "absent": absent_bits(lanes),  # see `layout.absent_lanes`
    })  # fmt: skip


DivisorWrite = write_layout(STATISTIC_BITS + TOKEN_BITS, DivisorLayout)

TileLayout = data.StructLayout({"raw": 1, "escapes": ESCAPE_BITS})


class DivisorTables(wiring.Component):
    """What the states have to know of a token, for each lane; latency ``latency`` cycles.

    Parameters
    ----------
    lanes : 2, 4 or 8

    Members
    -------
    write : In(EntryWrite), while nothing is coded
    address : In(lanes x 10), token and above it statistic
    divisors : Out(lanes x DivisorLayout)
    """

    latency = PairedTable.latency

    def __init__(self, lanes: int = BLOCK):
        super().__init__({
            "write": In(EntryWrite),
            "address": In(data.ArrayLayout(TOKEN_BITS + STATISTIC_BITS, lanes)),
            "divisors": Out(data.ArrayLayout(DivisorLayout, lanes)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found = [reciprocal(max(frequency, 1)) for frequency in range(1 << TOTAL_BITS)]
        init = [select | factor << 2 for select, factor in found]
        m.submodules.reciprocals = reciprocals = Memory(shape=20, depth=len(init), init=init)
        of_frequency = reciprocals.read_port()
        divisor = Signal(DivisorLayout)
        entry = self.write.data
        m.d.comb += [
            of_frequency.addr.eq(entry.frequency),
            Cat(divisor.select, divisor.reciprocal).eq(of_frequency.data),
            divisor.frequency.eq(register(m, entry.frequency)),
            divisor.start.eq(register(m, entry.start)),
        ]
        write = Signal(DivisorWrite)
        m.d.comb += [
            write.en.eq(register_flag(m, self.write.en, 2)),
            write.address.eq(register(m, self.write.address, 2)),
            write.data.eq(register(m, divisor)),
        ]
        words = paired_tables(m, "divisors", DivisorLayout.size, write, list(self.address))
        m.d.comb += Cat(map(Value.cast, self.divisors)).eq(Cat(words))
        return m


class BackwardPass(wiring.Component):
    """Codes the slots of a tile from the last one to the first, one per cycle.

    The next tile's slots may enter at the same rate. ``tile_gap`` cycles pass between two tiles.

    Parameters
    ----------
    depth : slots that the buffer holds, a power of two
    lanes : 2, 4 or 8; see ``slots`` for what a slot is with less than 8

    Members
    -------
    head : In(HeadLayout), constant during a frame
    entry : In(EntryWrite), while nothing is coded
    enter : In(1), a slot is on its way to ``write``; only while ``room``
    room : Out(1), another slot of the tile has a place
    write, slot : In(1), In(passed_layout), append a slot to the tile
    tile : In(stream of TileLayout), the tile is complete; no slot may be on its way
    hold : In(1), put out no more bytes than those on their way, ``in_flight`` words
    o_write, o_bits, o_done, o_offset : Out, those of the ByteStacker
    ended : Out(TileLayout), with ``o_done``: the tile that has been written
    """

    def __init__(self, depth: int, lanes: int = BLOCK):
        self._lanes = lanes
        self._buffer = ReversalBuffer(passed_layout(lanes).size, depth)
        self._states, self._stacker = RansStates(lanes), ByteStacker(lanes)
        self.sets = self._states.sets
        self.tile_gap = STATE_BYTES * self.sets + 3  # the states take two cycles each
        to_stacker = ReversalBuffer.latency + 6 + RansStates.latency + 1
        self.in_flight = to_stacker + self._stacker.latency + 4
        super().__init__({
            "head": In(HeadLayout),
            "entry": In(EntryWrite),
            "enter": In(1),
            "room": Out(1, init=1),
            "write": In(1),
            "slot": In(passed_layout(lanes)),
            "tile": In(stream.Signature(TileLayout)),
            "hold": In(1),
            "o_write": Out(1),
            "o_bits": Out(8 * lanes),
            "o_done": Out(1),
            "o_offset": Out(exact_log2(lanes)),
            "ended": Out(TileLayout),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.buffer = buffer = self._buffer
        lanes = self._lanes
        m.submodules.tables = tables = DivisorTables(lanes)
        m.submodules.states = states = self._states
        m.submodules.stacker = stacker = self._stacker
        control = _Control(m, self, buffer)
        m.d.comb += [
            buffer.enter.eq(self.enter),
            self.room.eq(buffer.room),
            buffer.write.eq(self.write),
            buffer.bits.eq(self.slot),
            tables.write.eq(self.entry),
        ]

        passed = Signal(passed_layout(lanes), reset_less=True)
        m.d.sync += passed.eq(buffer.read)  # which may come from far away
        is_nibbles = register(m, self.head.transform == Transform.NIBBLES)
        for lane in range(lanes):
            z = passed.z[lane]
            low = Mux(is_nibbles & passed.upper, z[4:], z[:4])
            symbol = Cat(low, z[4] & ~is_nibbles)
            token = symbol | passed.escape[lane].replicate(TOKEN_BITS)
            m.d.sync += tables.address[lane].eq(Cat(token, passed.statistic[lane]))
        to_passed = buffer.latency + 1
        to_states = to_passed + 1 + tables.latency
        m.d.comb += [
            states.divisors.eq(tables.divisors),
            states.set.eq(register(m, control.set, to_states)),
            states.valid.eq(register_flag(m, control.coded, to_states)),
            states.fresh.eq(register(m, control.fresh, to_states)),
        ]

        # Bytes of a coded slot, of a raw one, or of half of a set's states.
        to_bytes = to_states + states.latency
        dump = register_flag(m, control.dump, to_bytes)
        half = register(m, control.half, to_bytes)
        raw = register_flag(m, control.raw, to_bytes)
        z = register(m, passed.z, to_bytes - to_passed)
        tail = register(m, self.head.channels[: exact_log2(lanes)])
        in_tail = register(m, Mux(tail == 0, (1 << lanes) - 1, (1 << tail) - 1)[:lanes])
        there = lanes_of(in_tail, register(m, passed.absent))
        there = register(m, Mux(register(m, passed.upper & is_nibbles), 0, there))
        there = register(m, there, to_bytes - to_passed - 2)
        parts = [states.states[k >> 1][8 * (k & 1) :][:8] for k in range(STATE_BYTES * lanes)]
        for lane in range(lanes):
            chosen = Mux(half, parts[lanes + lane], parts[lane])
            other = Mux(raw, z[8 * lane : 8 * lane + 8], states.states[lane][:8])
            m.d.sync += [
                stacker.put[lane].eq(states.put[lane] | dump | (raw & there[lane])),
                stacker.bytes[lane].eq(Mux(dump, chosen, other)),
            ]
        m.d.comb += [
            stacker.end.eq(register_flag(m, control.end, to_bytes + 1)),
            self.o_write.eq(stacker.write),
            self.o_bits.eq(stacker.bits),
            self.o_done.eq(stacker.done),
            self.o_offset.eq(stacker.offset),
        ]
        return m


class _Control:
    """What happens in a cycle: ``coded`` or ``raw``, a slot is read; ``dump``, a set's states.

    ``end`` is raised when the tile is over.
    """

    def __init__(self, m: Module, top: BackwardPass, buffer: ReversalBuffer):
        sets = top.sets
        # Behind the last slot, until all states are written; and long enough for the tile to have
        # left the stacker before the next one ends. With all sets in use, the states themselves
        # take long enough, and each has been written when its turn comes.
        longest = max(STATE_SETS, top.in_flight)
        self.set = Signal(range(sets))
        self.coded, self.raw, self.fresh = Signal(), Signal(), Signal()
        self.dump, self.half, self.end = Signal(), Signal(init=1), Signal()
        highest = self._highest_set(m, top.write, buffer.turn, sets)
        tile = Signal(TileLayout)
        go = register_flag(m, ~top.hold)
        fresh_left = Signal(range(sets + 1))  # slots whose set has not been used yet
        pause = Signal(range(longest))
        top_set = Signal.like(self.set)
        at_once = ~tile.raw & (top_set == sets - 1)  # without a pause
        with m.FSM():
            with m.State("idle"), m.If(top.tile.valid):
                m.next = "turn"
            with m.State("turn"):
                # On its own, since much hangs on it.
                m.d.comb += [top.tile.ready.eq(1), buffer.turn.eq(1)]
                m.d.sync += [
                    tile.eq(top.tile.payload),
                    self.set.eq(highest.latest),
                    top_set.eq(highest.top),
                    fresh_left.eq(sets),
                    self.fresh.eq(1),
                ]
                m.next = "slots"
            with m.State("slots"):
                m.d.comb += [
                    buffer.step.eq(go),
                    self.coded.eq(go & ~tile.raw),
                    self.raw.eq(go & tile.raw),
                ]
                m.d.sync += pause.eq(longest - 1)
                with m.If(go):
                    m.d.sync += [
                        self.set.eq(Mux(self.set == 0, sets - 1, self.set - 1)),
                        fresh_left.eq(Mux(fresh_left == 0, 0, fresh_left - 1)),
                        self.fresh.eq(fresh_left > 1),
                    ]
                    with m.If(buffer.last):
                        m.next = "pause"
                        with m.If(at_once):
                            m.next = "states"
            with m.State("pause"):
                m.d.sync += [pause.eq(pause - 1), self.set.eq(top_set), self.fresh.eq(0)]
                with m.If(pause == 0):
                    m.next = "states"
                    with m.If(tile.raw):
                        m.next = "end"
            with m.State("states"):
                m.d.comb += self.dump.eq(go)
                with m.If(go):
                    m.d.sync += self.half.eq(~self.half)
                    with m.If(~self.half):
                        m.d.sync += self.set.eq(self.set - 1)
                        with m.If(self.set == 0):
                            m.next = "end"
            with m.State("end"):
                m.d.comb += self.end.eq(1)
                m.d.sync += top.ended.eq(tile)
                m.next = "idle"

    @staticmethod
    def _highest_set(m: Module, write: Value, turn: Value, count: int) -> data.View:
        """Sets of the tile that is being written: of its ``latest`` slot, and the ``top`` one."""
        sets = Signal(data.StructLayout({"latest": range(count), "top": range(count)}))
        some, all_used = Signal(), Signal()
        following = Signal(range(count))
        m.d.comb += following.eq(Mux(some & (sets.latest != count - 1), sets.latest + 1, 0))
        with m.If(turn):
            m.d.sync += [some.eq(0), all_used.eq(0)]
        with m.Elif(write):
            m.d.sync += [
                some.eq(1),
                sets.latest.eq(following),
                all_used.eq(all_used | (following == count - 1)),
                sets.top.eq(Mux(all_used, count - 1, following)),
            ]
        return sets
