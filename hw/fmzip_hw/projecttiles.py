"""Tiles of the coder HUFFMAN: their symbols are held until it is known how they are stored."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, COMPONENT_BITS
from fmzip.regs import ProjectionKind
from fmzip_hw.huffcode import (
    BOOK_BITS,
    SYMBOL_BITS_MAX,
    HuffmanCoder,
    NumberLayout,
    SizeTable,
    number_of,
)
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.memory import BlockFifo, BlockRam
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.project import RESULT
from fmzip_hw.projecttables import ProjectionWrite, write_of
from fmzip_hw.stream import Slice

_WORD = 8 * BLOCK
_QUEUE = 2  # tiles that wait for being put out
_FIFO = 64


def plan_layout(symbols: int) -> data.StructLayout:
    """How a tile of up to so many symbols is put out."""
    words = range(symbols * SYMBOL_BITS_MAX // _WORD + 1024)
    return data.StructLayout({
        "raw": 1,
        "symbols": range(symbols + 1),
        "words": words,  # of 64 bits, padded to the burst
        "own": words,  # without padding
    })  # fmt: skip


class TileJudge(wiring.Component):
    """Adds up what the symbols of a tile take, and decides how it is stored.

    Parameters
    ----------
    symbols : of a tile, at most

    Members
    -------
    head : In(HeadLayout), constant during a frame; start : In(1)
    valid, size : In(1), In(5), bits of a symbol; last : In(1), it is the tile's last one
    o : Out(stream of plan_layout), some cycles later; it must be taken before the next one is due
    """

    def __init__(self, symbols: int):
        self._symbols = symbols
        self._layout = plan_layout(symbols)
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "valid": In(1),
            "size": In(range(SYMBOL_BITS_MAX + 1)),
            "last": In(1),
            "o": Out(stream.Signature(self._layout)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.o.payload
        bits = range(self._symbols * SYMBOL_BITS_MAX + (1024 * _WORD))
        coded, raw, mask = Signal(bits), Signal(bits), Signal(bits)
        count = Signal.like(plan.symbols)
        fresh = Signal(init=1)  # the next symbol is the first one of its tile
        m.d.sync += mask.eq(((8 << self.head.burst_log2[:4]) - 1)[: len(mask)])
        with m.If(self.valid):
            m.d.sync += [
                coded.eq(Mux(fresh, 0, coded) + self.size),
                raw.eq(Mux(fresh, 0, raw) + COMPONENT_BITS),
                count.eq(Mux(fresh, 0, count) + 1),
                fresh.eq(self.last),
            ]
        with m.If(self.start):
            m.d.sync += fresh.eq(1)
        sizes = []
        ended = register_flag(m, self.valid & self.last)
        for total in (coded, raw):
            own = register(m, register(m, total + (_WORD - 1)) >> exact_log2(_WORD))
            up = register(m, register(m, total + mask) & ~mask)
            sizes.append((own, up >> exact_log2(_WORD)))
        (coded_own, coded_words), (raw_own, raw_words) = sizes
        is_raw = register(m, raw_words <= coded_words)
        raw_words, coded_words = register(m, raw_words), register(m, coded_words)
        raw_own, coded_own = register(m, raw_own), register(m, coded_own)
        symbols = register(m, count, 3)
        with m.If(register_flag(m, ended, 3)):
            m.d.sync += [
                plan.raw.eq(is_raw),
                plan.symbols.eq(symbols),
                plan.words.eq(Mux(is_raw, raw_words, coded_words)),
                plan.own.eq(Mux(is_raw, raw_own, coded_own)),
                self.o.valid.eq(1),
            ]
        with m.Elif(self.o.ready | self.start):
            m.d.sync += self.o.valid.eq(0)
        return m


class TileCoder(wiring.Component):
    """Words of tiles from their symbols, one symbol per cycle in, ``lanes`` per cycle coded.

    A tile is put out while the symbols of the next one come. Words are at most one per cycle.

    Parameters
    ----------
    symbols : that are held, a power of two; a tile may have 15/16 of it
    values : components of a position, at most; a power of two
    lanes : symbols that are coded in a cycle

    Members
    -------
    head : In(HeadLayout); page : In(1); constant from ``start`` on
    write : In(ProjectionWrite), to the page that is not in use
    start : In(1), begin a frame
    room : Out(1), the symbols of another position fit
    reserve : In(1), they will come; reserve_last : In(1), with it: of its tile the last ones
    tile_taken : In(1), the values of a tile have come; hold : Out(1), do not begin another yet
    i_valid, i, i_index : In, a symbol and its component; i_last : In(1), it is its tile's last one
    o : Out(stream of word_layout)
    """

    def __init__(self, symbols: int, values: int, lanes: int = BLOCK):
        self._symbols, self._values = symbols, values
        exact_log2(symbols)
        self._coder = HuffmanCoder(lanes)
        self.max_symbols = symbols * 15 // 16
        super().__init__({
            "head": In(HeadLayout),
            "page": In(1),
            "write": In(ProjectionWrite),
            "start": In(1),
            "room": Out(1),
            "reserve": In(1),
            "reserve_last": In(1),
            "tile_taken": In(1),
            "hold": Out(1),
            "i_valid": In(1),
            "i": In(RESULT),
            "i_index": In(range(values)),
            "i_last": In(1),
            "o": Out(stream.Signature(word_layout(BLOCK))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._coder.lanes
        lane_bits = exact_log2(lanes)
        m.submodules.judge = judge = TileJudge(self._symbols)
        m.submodules.plans = plans = Slice(judge.o.payload.shape())
        m.submodules.ring = ring = BlockRam(NumberLayout.size * lanes, self._symbols // lanes)
        wiring.connect(m, judge.o, plans.i)
        valid, number, last = self._numbers(m)
        self._judge(m, judge, valid, number, last)

        # Symbols into the ring, a word when it is full or its tile ends.
        gathered = Signal(data.ArrayLayout(NumberLayout, lanes), reset_less=True)
        part, place = Signal(range(max(lanes, 2))), Signal(range(self._symbols // lanes))
        ends = valid & (last | (part == lanes - 1))
        put = register_flag(m, ends)
        m.d.comb += [
            ring.w_en.eq(put),
            ring.w_addr.eq(place),
            ring.w_data.eq(gathered),
        ]
        with m.If(valid):
            m.d.sync += [gathered[part].eq(number), part.eq(Mux(ends, 0, part + 1))]
        with m.If(put):
            m.d.sync += place.eq(place + 1)

        # Room, in symbols: a tile may leave lanes of its last word empty.
        taken = Signal()  # the plan of the next tile is taken
        tiles = Signal(range(_QUEUE + 4))
        with m.If(self.tile_taken & ~taken):
            m.d.sync += tiles.eq(tiles + 1)
        with m.Elif(taken & ~self.tile_taken):
            m.d.sync += tiles.eq(tiles - 1)
        read = Signal()
        reserved = Signal(range(2 * self._symbols))
        components = register(m, self.head.step)[: len(self.i_index) + 1]
        waste = plans.o.payload.symbols - 1
        last_too = register(m, components + (lanes - 1))
        more = register(m, Mux(self.reserve, Mux(self.reserve_last, last_too, components), 0))
        less = register(
            m, Mux(read, lanes, 0) + Mux(taken, waste[:lane_bits] if lane_bits else 0, 0)
        )
        m.d.sync += reserved.eq(reserved + more - less)
        # Seen late, but a position takes as many cycles as there are multipliers.
        m.d.sync += self.room.eq(reserved + (components + lanes) <= self._symbols)
        m.d.sync += self.hold.eq(tiles >= _QUEUE)

        self._put_out(m, plans, ring, taken, read)
        with m.If(self.start):
            m.d.sync += [part.eq(0), place.eq(0), tiles.eq(0), reserved.eq(0)]
        return m

    def _numbers(self, m: Module) -> tuple[Value, data.View, Value]:
        """Symbols as numbers with their books, some cycles later."""
        m.submodules.books = books = BlockRam(BOOK_BITS, 2 * self._values)
        m.d.comb += [
            books.w_en.eq(write_of(self.write, ProjectionKind.FORWARD_BOOKS)),
            books.w_addr.eq(self.write.address),
            books.w_data.eq(self.write.data),
            books.r_en.eq(1),
            books.r_next.eq(1),
            books.r_addr.eq(Cat(self.i_index, self.page)),
        ]
        number = Signal(NumberLayout)
        m.d.comb += [
            number.u.eq(register(m, number_of(self.i), books.latency)),
            number.book.eq(books.r_data),
        ]
        return (
            register_flag(m, self.i_valid, books.latency),
            number,
            register(m, self.i_last, books.latency),
        )

    def _judge(
        self, m: Module, judge: TileJudge, valid: Value, number: data.View, last: Value
    ) -> None:
        m.submodules.sizes = sizes = SizeTable()
        m.d.comb += [
            sizes.write.eq(self.write),
            sizes.page.eq(self.page),
            sizes.i.eq(number),
            judge.head.eq(self.head),
            judge.start.eq(self.start),
            judge.valid.eq(register_flag(m, valid, sizes.latency)),
            judge.size.eq(sizes.o),
            judge.last.eq(register(m, last, sizes.latency)),
        ]

    def _put_out(self, m: Module, plans: Slice, ring: BlockRam, taken: Value, read: Value) -> None:
        """Read a tile's symbols, code them, and pad the words."""
        lanes, plan = self._coder.lanes, plans.o.payload
        lane_bits = exact_log2(lanes)
        m.submodules.coder = coder = self._coder
        m.submodules.fifo = fifo = BlockFifo(coder.word_bits, _FIFO)
        m.submodules.ends = ends = Slice(plan.shape())
        left, tail = Signal(range(self._symbols + 1)), Signal(range(lanes + 1))
        address = Signal(range(self._symbols // lanes))
        raw = Signal()
        final = Signal()  # the word is the tile's last one
        places = Signal(range(_FIFO + 1), init=_FIFO)
        free, tick = Signal(), Signal()
        m.d.comb += [
            ring.r_en.eq(1),
            ring.r_next.eq(1),
            ring.r_addr.eq(address),
            ends.i.payload.eq(plan),
            final.eq(left == 1),
        ]
        # Each read may fill a word, and what is left behind the last one another.
        m.d.sync += free.eq(places > 4)
        with m.FSM():
            with m.State("idle"):
                m.d.comb += [ends.i.valid.eq(plans.o.valid), plans.o.ready.eq(ends.i.ready)]
                m.d.comb += taken.eq(plans.o.valid & ends.i.ready)
                m.d.sync += [
                    raw.eq(plan.raw),
                    left.eq((plan.symbols + (lanes - 1)) >> lane_bits),
                    tail.eq((plan.symbols - 1)[:lane_bits] + 1 if lane_bits else 1),
                ]
                with m.If(taken):
                    m.next = "read"
            with m.State("read"), m.If(free):
                m.d.comb += [read.eq(1), tick.eq(1)]
                m.d.sync += [left.eq(left - 1), address.eq(address + 1)]
                with m.If(final):
                    m.next = "flush"
            with m.State("flush"):
                m.d.comb += tick.eq(1)
                m.next = "gap"
            with m.State("gap"):
                m.next = "idle"
        cycles = ring.latency
        m.d.comb += [
            coder.write.eq(self.write),
            coder.page.eq(self.page),
            coder.raw.eq(register(m, raw, cycles)),
            coder.i_valid.eq(register_flag(m, read, cycles)),
            Cat(coder.i).eq(ring.r_data),
            coder.i_count.eq(register(m, Mux(final, tail, lanes), cycles)),
            coder.i_last.eq(register(m, final, cycles)),
            fifo.i.valid.eq(coder.o_valid),
            fifo.i.payload.eq(coder.o_bits),
        ]
        unused = register_flag(m, tick, cycles + coder.latency) & ~coder.o_valid
        pop = Signal()
        m.d.sync += places.eq(places - tick + unused + pop)
        m.d.comb += pop.eq(fifo.o.valid & fifo.o.ready)
        self._pad(m, ends, fifo)
        with m.If(self.start):
            m.d.sync += address.eq(0)

    def _pad(self, m: Module, ends: Slice, fifo: BlockFifo) -> None:
        """Words of 64 bits, and zeros behind them up to the burst."""
        m.submodules.out = out = Slice(word_layout(BLOCK))
        wiring.connect(m, out.o, wiring.flipped(self.o))
        parts = self._coder.word_bits // _WORD
        part = Signal(range(max(parts, 2)))
        left, own = Signal.like(ends.o.payload.words), Signal.like(ends.o.payload.own)
        busy, some, last, last_own, raw = Signal(), Signal(), Signal(), Signal(), Signal()
        moved = Signal()
        word = fifo.o.payload.word_select(part, _WORD) if parts > 1 else fifo.o.payload
        m.d.comb += [
            ends.o.ready.eq(~busy),
            out.i.valid.eq(busy & (~some | fifo.o.valid)),
            out.i.payload.data.eq(Mux(some, word, 0)),
            out.i.payload.last.eq(last),
            out.i.payload.raw.eq(raw),
            moved.eq(out.i.valid & out.i.ready),
            fifo.o.ready.eq(moved & some & (last_own | (part == parts - 1))),
        ]
        with m.If(ends.o.valid & ~busy):
            m.d.sync += [
                busy.eq(1), some.eq(1), part.eq(0), raw.eq(ends.o.payload.raw),
                left.eq(ends.o.payload.words), last.eq(ends.o.payload.words == 1),
                own.eq(ends.o.payload.own), last_own.eq(ends.o.payload.own == 1),
            ]  # fmt: skip
        with m.Elif(moved):
            m.d.sync += [
                part.eq(Mux(part == parts - 1, 0, part + 1)),
                left.eq(left - 1), last.eq(left == 2), busy.eq(~last),
                own.eq(own - 1), last_own.eq(own == 2),
            ]  # fmt: skip
            with m.If(last_own):
                m.d.sync += some.eq(0)
