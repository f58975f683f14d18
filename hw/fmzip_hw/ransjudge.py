"""What a tile would cost coded, and so how it is stored; and its escapes, one by one."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import (
    BLOCK,
    ESCAPE,
    ESCAPES_MAX,
    PRICE_PER_BIT,
    STATE_BYTES,
    STATE_SETS,
    TILE_SLOTS_MAX,
    price,
)
from fmzip_hw.bytestack import prefix_counts
from fmzip_hw.layout import HeadLayout, absent_bits
from fmzip_hw.pairedtable import PairedTable, paired_tables
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.ransescape import lowest_flag, several
from fmzip_hw.ransreverse import ESCAPE_BITS, TileLayout
from fmzip_hw.tables import STATISTIC_BITS, TOKEN_BITS, EntryWrite, write_layout

_BYTE_PRICE = 8 * PRICE_PER_BIT
_ESCAPE_PRICE = price(1) + _BYTE_PRICE  # at most
_PRICE_BITS = _ESCAPE_PRICE.bit_length()
_TILE_PRICE_BITS = (TILE_SLOTS_MAX * BLOCK * _ESCAPE_PRICE).bit_length()
_COUNT_BYTES = 8  # of the word with the number of escapes
_SIZE_BITS = (2 * TILE_SLOTS_MAX * BLOCK).bit_length()  # any price and as many escapes are below

PriceWrite = write_layout(STATISTIC_BITS + TOKEN_BITS, _PRICE_BITS)


def escaped_layout(lanes: int) -> data.StructLayout:
    """The symbols of a slot, and which of them are escapes."""
    return data.StructLayout({"symbols": data.ArrayLayout(8, lanes), "flags": lanes})


def judged_layout(lanes: int) -> data.StructLayout:
    """A slot that costs something."""
    return data.StructLayout({
        "statistics": data.ArrayLayout(STATISTIC_BITS, lanes),
        "tokens": data.ArrayLayout(TOKEN_BITS, lanes),
        "escaped": escaped_layout(lanes),
        "last": 1,  # of the tile
        "upper": 1,  # with nibbles, plane 0: what is raw counts in the other one
        "absent": absent_bits(lanes),  # see `layout.absent_lanes`
    })  # fmt: skip


class Pricer(wiring.Component):
    """Price of the tokens of a slot in 1/16 bit, with the bytes of escaped symbols.

    Latency ``latency`` cycles, never stalls.

    Parameters
    ----------
    lanes : 2, 4 or 8

    Members
    -------
    write : In(EntryWrite), while nothing is coded
    statistics, tokens : In(lanes x 5)
    o : Out, enough bits
    """

    def __init__(self, lanes: int = BLOCK):
        self._lanes = lanes
        self.latency = PairedTable.latency + exact_log2(lanes)
        super().__init__({
            "write": In(EntryWrite),
            "statistics": In(data.ArrayLayout(STATISTIC_BITS, lanes)),
            "tokens": In(data.ArrayLayout(TOKEN_BITS, lanes)),
            "o": Out((lanes * _ESCAPE_PRICE).bit_length()),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        addresses = [Cat(self.tokens[lane], self.statistics[lane]) for lane in range(self._lanes)]
        write = Signal(PriceWrite)
        m.d.comb += [
            write.en.eq(self.write.en),
            write.address.eq(self.write.address),
            write.data.eq(
                self.write.data.price
                + Mux(self.write.address[:TOKEN_BITS] == ESCAPE, _BYTE_PRICE, 0)
            ),
        ]
        prices = paired_tables(m, "prices", _PRICE_BITS, write, addresses)
        while len(prices) > 1:
            pairs = zip(prices[0::2], prices[1::2], strict=True)
            prices = [register(m, a + b) for a, b in pairs]
        m.d.comb += self.o.eq(prices[0])
        return m


class Judge(wiring.Component):
    """Adds up what a tile costs, and decides whether it is stored raw.

    Escapes go on, and are counted, until there are more than 4095 before a slot.

    Parameters
    ----------
    lanes : 2, 4 or 8; see ``slots`` for what a slot is with less than 8

    Members
    -------
    head : In(HeadLayout), constant during a frame
    entry : In(EntryWrite), while nothing is coded
    valid, slot : In(1), In(judged_layout), a slot
    sets : In(4), state sets of the tile, with its last slot and for ``latency`` cycles
    put, payload : Out(1), Out(escaped_layout), its escapes, four cycles later
    tile : Out(stream of TileLayout), ``latency`` cycles behind the tile's last slot. The next
        tile's slots may come when it is taken
    """

    def __init__(self, lanes: int = BLOCK):
        self._lanes, self._pricer = lanes, Pricer(lanes)
        self.latency = self._pricer.latency + 4
        super().__init__({
            "head": In(HeadLayout),
            "entry": In(EntryWrite),
            "valid": In(1),
            "slot": In(judged_layout(lanes)),
            "sets": In(range(STATE_SETS + 1)),
            "put": Out(1),
            "payload": Out(escaped_layout(lanes)),
            "tile": Out(stream.Signature(TileLayout)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pricer = pricer = self._pricer
        m.d.comb += [
            pricer.write.eq(self.entry),
            Cat(pricer.statistics).eq(Cat(self.slot.statistics)),
            Cat(pricer.tokens).eq(Cat(self.slot.tokens)),
        ]
        taken = Signal()
        m.d.comb += taken.eq(self.tile.valid & self.tile.ready)
        valid = register_flag(m, self.valid, pricer.latency)
        last = register_flag(m, self.valid & self.slot.last, pricer.latency + 1)
        # Rounded up to bytes, and with the section of escapes.
        least = _COUNT_BYTES * _BYTE_PRICE + _BYTE_PRICE - 1
        price = Signal(_TILE_PRICE_BITS, init=least)
        with m.If(taken):
            m.d.sync += price.eq(least)
        with m.Elif(valid):
            m.d.sync += price.eq(price + pricer.o)
        escapes = self._escapes(m, taken)
        raw = self._raw_bytes(m, taken)

        size = Signal(_SIZE_BITS)
        with m.FSM():
            with m.State("slots"), m.If(last):
                states = self.sets << exact_log2(BLOCK * STATE_BYTES)
                m.d.sync += size.eq(price[exact_log2(_BYTE_PRICE) :] + states)
                m.next = "compare"
            with m.State("compare"):
                m.d.sync += [
                    self.tile.payload.raw.eq((size >= raw) | (escapes > ESCAPES_MAX)),
                    self.tile.payload.escapes.eq(escapes),
                    self.tile.valid.eq(1),
                ]
                m.next = "offer"
            with m.State("offer"), m.If(self.tile.ready):
                m.d.sync += self.tile.valid.eq(0)
                m.next = "slots"
        return m

    def _escapes(self, m: Module, clear: Value) -> Signal:
        """How many escapes the tile has; they go on one cycle behind the count."""
        flags = Signal(self._lanes)
        m.d.sync += flags.eq(self.slot.escaped.flags & self.valid.replicate(self._lanes))
        counts = prefix_counts(m, flags)
        flags = register(m, flags, 2)
        escapes = Signal(ESCAPE_BITS)
        too_many = escapes > ESCAPES_MAX
        with m.If(clear):
            m.d.sync += escapes.eq(0)
        with m.Elif(~too_many):
            m.d.sync += escapes.eq(escapes + counts[-1])
        m.d.comb += [
            self.put.eq(register_flag(m, self.valid, 4)),
            self.payload.flags.eq(register(m, Mux(too_many, 0, flags))),
            Cat(self.payload.symbols).eq(register(m, Cat(self.slot.escaped.symbols), 4)),
        ]
        return escapes

    def _raw_bytes(self, m: Module, clear: Value) -> Signal:
        """Size of the tile's values."""
        raw = Signal(_SIZE_BITS)
        tail: Value = register(m, self.head.channels[: exact_log2(self._lanes)])
        absent = self.slot.absent
        if len(absent) > 1:
            tail = Mux(absent[1], 0, tail)
        count = register(m, Mux(absent[0], tail, self._lanes))
        counts = register_flag(m, self.valid & ~self.slot.upper)
        with m.If(clear):
            m.d.sync += raw.eq(0)
        with m.Elif(counts):
            m.d.sync += raw.eq(raw + count)
        return raw


class EscapeSerial(wiring.Component):
    """The escapes of slots one by one, lane by lane; a slot without any takes a cycle.

    Parameters
    ----------
    lanes : 2, 4 or 8

    Members
    -------
    i : In(stream of escaped_layout)
    o : Out(stream of 8)
    """

    def __init__(self, lanes: int = BLOCK):
        self._lanes = lanes
        super().__init__({
            "i": In(stream.Signature(escaped_layout(lanes))),
            "o": Out(stream.Signature(8)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        symbols = Signal(8 * self._lanes, reset_less=True)
        flags = Signal(self._lanes)
        single = Signal(init=1)  # no more than one flag is left
        lowest = lowest_flag(flags)
        rest = flags & ~lowest
        go = Signal()  # the output takes a byte
        load = Signal()
        m.d.comb += [
            go.eq(~self.o.valid | self.o.ready),
            load.eq(go & single),
            self.i.ready.eq(load),
        ]
        following = Signal(self._lanes)
        m.d.comb += following.eq(
            Mux(single, self.i.payload.flags & self.i.valid.replicate(self._lanes), rest)
        )
        byte = Cat(
            Cat(symbols[8 * lane + k] & lowest[lane] for lane in range(self._lanes)).any()
            for k in range(8)
        )
        with m.If(go):
            m.d.sync += [
                self.o.valid.eq(flags.any()),
                self.o.payload.eq(byte),
                flags.eq(following),
                single.eq(~several(following)),
            ]
        with m.If(load):
            m.d.sync += symbols.eq(Cat(self.i.payload.symbols))
        return m
