"""The state loop of the rANS decoder: a state for each lane, in sets that take turns."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, STATE_BYTES, STATE_MIN, STATE_SETS, TOTAL_BITS
from fmzip_hw.bytering import ByteRing
from fmzip_hw.layout import absent_bits, beats_per_block, lanes_of
from fmzip_hw.multiply import Multiplier
from fmzip_hw.pairedtable import PairedTable, paired_tables
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.tables import STATISTIC_BITS, TOKEN_BITS, EntryWrite, TokenWrite, write_layout
from fmzip_hw.tokentable import TokenTables

_STATE_BITS = 8 * STATE_BYTES
WORDS_PER_SET = STATE_BYTES  # a byte for each lane in a word

_SpanLayout = data.StructLayout({"frequency": TOTAL_BITS, "start": TOTAL_BITS})
_SpanWrite = write_layout(STATISTIC_BITS + TOKEN_BITS, _SpanLayout)


class RansLanes(wiring.Component):
    """Decodes the tokens of a slot from its set of states, and renormalises the states.

    A slot per cycle, never stalls: with 8 lanes a set is read 10 cycles after it was read before,
    which is when it has just been written. With fewer lanes there are as many more sets, each of a
    part of the 8 states, and so more time. Members without another time belong to the cycle in
    which the slot comes.

    Parameters
    ----------
    lanes : 2, 4 or 8

    Members
    -------
    begin : In(1), a tile begins: set 0 is the next one, of states that are loaded and of slots
    load : In(1), ``word`` has the states of half a set, set by set; only between tiles
    word : In(8 x lanes), the next word of the stream: bytes, and states while they are loaded
    prime, second : In(1), see ``ByteRing``
    raw : In(1), the tile is raw: its lanes take a byte each; constant while slots come
    tail : In(lanes), lanes with a channel in a slot where some have none; constant
    i_valid : In(1), there is a slot
    absent : In, see ``layout.absent_lanes``
    statistics : In(lanes x 5)
    tokens : Out(lanes x 5), ``token_latency`` cycles later
    pop : Out(1), ``word`` is taken for its bytes; at most once for each slot,
        ``byte_latency`` cycles later
    bytes : Out(lanes x 8), bytes of the lanes of a raw tile, ``byte_latency`` cycles later
    check : In(1), compare the next set of states with what it must be in the end
    wrong : Out(1), a set of states was not that, or a state that was loaded is too small
    token, entry : In(TokenWrite, EntryWrite), into the tables; not while slots come
    """

    token_latency = 2
    byte_latency = 9

    def __init__(self, lanes: int = BLOCK) -> None:
        self._lanes, self._count = lanes, STATE_SETS * beats_per_block(lanes)
        self._per_word = lanes // WORDS_PER_SET
        super().__init__({
            "begin": In(1),
            "load": In(1),
            "word": In(8 * lanes),
            "prime": In(1),
            "second": In(1),
            "raw": In(1),
            "tail": In(lanes),
            "i_valid": In(1),
            "absent": In(absent_bits(lanes)),
            "statistics": In(data.ArrayLayout(STATISTIC_BITS, lanes)),
            "tokens": Out(data.ArrayLayout(TOKEN_BITS, lanes)),
            "pop": Out(1),
            "bytes": Out(data.ArrayLayout(8, lanes)),
            "check": In(1),
            "wrong": Out(1),
            "token": In(TokenWrite),
            "entry": In(EntryWrite),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ring = ring = ByteRing(self._lanes)
        valid = self.i_valid
        states = [Signal(_STATE_BITS, name=f"state{lane}") for lane in range(self._lanes)]
        entries = self._look_up(m, states)
        # Before renormalisation, with which lanes need a byte.
        pairs = [self._lane(m, lane, states[lane], entries[lane]) for lane in range(self._lanes)]
        sums, needy = [value for value, _ in pairs], Cat(short for _, short in pairs)
        having = lanes_of(self.tail, register(m, self.absent, 7))
        wants = Signal(self._lanes)
        m.d.comb += [
            wants.eq(Mux(register_flag(m, valid, 7), Mux(self.raw, having, needy), 0)),
            ring.wants.eq(wants),
            ring.word.eq(self.word),
            ring.prime.eq(self.prime),
            ring.second.eq(self.second),
            self.pop.eq(ring.pop),
            self.bytes.eq(ring.o),
        ]

        # States that are loaded go the same way from here on.
        lanes = []
        short = []
        takes = register(m, wants, ring.latency)
        for lane, value in enumerate(sums):
            low = _STATE_BITS * (lane % self._per_word)
            value = register(m, Mux(self.load, self.word[low : low + _STATE_BITS], value))
            if lane < self._per_word:
                short.append(value < STATE_MIN)
            value = register(m, value)
            shifted = Cat(ring.o[lane], value[: _STATE_BITS - 8])
            lanes.append(Mux(takes[lane], shifted, value))
        loaded = register_flag(m, self.load, ring.latency)
        self._sets(m, states, lanes, register_flag(m, valid, self.byte_latency), loaded)

        final = [register(m, register(m, state) != STATE_MIN) for state in states]
        m.d.sync += self.wrong.eq(
            (register_flag(m, self.check, 2) & Cat(final).any())
            | (register_flag(m, self.load) & Cat(short).any())
        )
        return m

    def _sets(
        self, m: Module, states: list[Signal], lanes: list[Value], valid: Value, loaded: Value
    ) -> None:
        """The memory of the states: where they are read from, and written to."""
        reading, writing = Signal(range(self._count)), Signal(range(self._count))
        half = Signal(range(WORDS_PER_SET))
        written = valid | (loaded & (half == WORDS_PER_SET - 1))
        for counter, step in ((reading, self.i_valid | self.check), (writing, written)):
            with m.If(self.begin):
                m.d.sync += counter.eq(0)
            with m.Elif(step):
                m.d.sync += counter.eq(Mux(counter == self._count - 1, 0, counter + 1))
        with m.If(self.begin):
            m.d.sync += half.eq(0)
        with m.Elif(loaded):
            m.d.sync += half.eq(half + 1)
        for k in range(WORDS_PER_SET):
            part = slice(k * self._per_word, (k + 1) * self._per_word)
            # Read without a register, so that a state costs no cycle more.
            m.submodules[f"states{k}"] = memory = Memory(
                shape=Shape(8 * self._lanes), depth=self._count, init=[]
            )
            write, read = memory.write_port(), memory.read_port(domain="comb")
            m.d.comb += [
                write.en.eq(valid | (loaded & (half == k))),
                write.addr.eq(writing),
                write.data.eq(Cat(lanes[part])),
                read.addr.eq(reading),
                Cat(states[part]).eq(read.data),
            ]

    def _look_up(self, m: Module, states: list[Signal]) -> list[data.View]:
        """Tokens, 2 cycles later, and what is known of them, 4 cycles later."""
        m.submodules.tokens_of = tokens = TokenTables(self._lanes)
        m.d.comb += [tokens.write.eq(self.token), self.tokens.eq(tokens.tokens)]
        addresses = []
        for lane, state in enumerate(states):
            statistic = self.statistics[lane]
            m.d.comb += tokens.address[lane].eq(Cat(state[:TOTAL_BITS], statistic))
            addresses.append(Cat(tokens.tokens[lane], register(m, statistic, tokens.latency)))
        write = Signal(_SpanWrite)
        m.d.comb += [
            write.en.eq(self.entry.en),
            write.address.eq(self.entry.address),
            write.data.frequency.eq(self.entry.data.frequency),
            write.data.start.eq(self.entry.data.start),
        ]
        words = paired_tables(m, "spans", _SpanLayout.size, write, addresses)
        return [data.View(_SpanLayout, word) for word in words]

    def _lane(self, m: Module, lane: int, state: Value, entry: data.View) -> tuple[Value, Value]:
        """7 cycles later, state of a lane before a byte, and its need."""
        m.submodules[f"product{lane}"] = product = Multiplier(Shape(TOTAL_BITS), Shape(TOTAL_BITS))
        before = register(m, state, TokenTables.latency + PairedTable.latency)
        below = register(m, (before[:TOTAL_BITS] - entry.start)[:TOTAL_BITS], product.latency)
        m.d.comb += [
            product.a.eq(entry.frequency),
            product.b.eq(before[TOTAL_BITS:]),
        ]
        # Without waiting for the sum: those of all lanes are to be counted.
        carry = (product.o[:8] + below)[8]
        return (
            register(m, (product.o + below)[:_STATE_BITS]),
            register(m, ~product.o[8:].any() & ~carry),
        )
