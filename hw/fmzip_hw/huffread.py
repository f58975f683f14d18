"""Symbols out of the words of tiles: the decoder of canonical Huffman codes, and of raw symbols."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import (
    BLOCK,
    COMPONENT_BITS,
    HUFFMAN_ESCAPE,
    HUFFMAN_EXACT_BITS,
)
from fmzip.regs import BOOK_NODES, NODE_BITS, NODE_FIELDS, ProjectionKind
from fmzip_hw.bitunpack import shift_right
from fmzip_hw.huffcode import BOOK_BITS
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.memory import BlockFifo, BlockRam
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.project import RESULT
from fmzip_hw.projecttables import ProjectionWrite, write_of

NodeLayout = data.StructLayout(NODE_FIELDS)
_HALF = 32
_LEAST = 16  # bits that are looked at, at most
_FIFO = 64
_BURST_BITS = 20


class BitWindow(wiring.Component):
    """The next bits of a tile, out of words.

    At least 32 bits are there a cycle behind ``refill``, unless the tile has fewer; behind its end
    there are zeros.

    Members
    -------
    burst_log2 : In(4), constant during a frame
    i : In(stream of word_layout)
    start : In(1), the next word begins a tile, and nothing is held
    refill : In(1), load a half word, if there is room for it
    ready : Out(1), enough bits are there, or the tile has no more
    take : In(1), with ``size``: so many bits have been used, at most 15
    finish : In(1), the tile's symbols have all come; until ``finished``
    finished : Out(1), all of its words have gone
    bits : Out(16)
    raw : Out(1), the tile is stored raw; known with ``ready``
    wrong : Out(1), strobe: bits were missing, or are left over
    """

    burst_log2: In(4)
    i: In(stream.Signature(word_layout(BLOCK)))
    start: In(1)
    refill: In(1)
    ready: Out(1)
    take: In(1)
    size: In(4)
    finish: In(1)
    finished: Out(1)
    bits: Out(_LEAST)
    raw: Out(1)
    wrong: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self.i.payload
        window = Signal(2 * _HALF)
        held = Signal(range(2 * _HALF + 1))  # bits of the tile in the window
        half, ended = Signal(), Signal()  # which half of the word is next; no word follows
        want, loads = Signal(), Signal()
        left = Signal(_BURST_BITS)  # bits behind the symbols
        burst = register(m, Const(8, _BURST_BITS) << self.burst_log2)[:_BURST_BITS]
        rest = Signal()  # some of them are not 0
        short = Signal()
        part = word.data.word_select(half, _HALF)
        m.d.comb += [
            self.bits.eq(window),
            want.eq((held < _HALF) & ~ended),
            loads.eq(self.refill & want & self.i.valid),
            self.ready.eq(~want),
        ]
        with m.If(loads):
            # Nothing is taken meanwhile.
            m.d.sync += [
                window.eq(window | (part << held[:5])),
                held.eq(held + _HALF),
                half.eq(~half),
                self.raw.eq(word.raw),
            ]
            with m.If(half):
                m.d.sync += ended.eq(word.last)
        with m.If(self.take):
            m.d.sync += [
                window.eq(shift_right(window, self.size, len(window))),
                held.eq(Mux(short, 0, held - self.size)),
            ]
        checked = Signal()
        drops = self.finish & checked & ~ended & self.i.valid
        with m.If(self.finish & ~checked):
            m.d.sync += [checked.eq(1), left.eq(held), rest.eq(window.any())]
        with m.If(drops):
            dropped = Mux(half, word.data[_HALF:].any(), word.data.any())
            m.d.sync += [rest.eq(rest | dropped), half.eq(0), ended.eq(word.last)]
            with m.If(~left[-1]):  # else it is more than a burst already
                m.d.sync += left.eq(left + Mux(half, _HALF, 2 * _HALF))
        m.d.comb += [
            short.eq(held < self.size),
            self.finished.eq(self.finish & checked & ended),
            self.i.ready.eq((loads & half) | (self.finish & checked & ~ended)),
            self.wrong.eq((self.take & short) | (self.finished & (rest | (left >= burst)))),
        ]
        with m.If(self.start):
            m.d.sync += [window.eq(0), held.eq(0), half.eq(0), ended.eq(0), checked.eq(0)]
        return m


class HuffmanReader(wiring.Component):
    """Symbols of tiles out of their words: the inverse of ``huffcode``.

    A symbol takes ``lookup_cycles`` for each 4 bits of its code that are begun, and a cycle more
    where bits follow the code; of a raw tile, ``raw_cycles``, and a cycle more for each 32 bits.
    Between positions 2 cycles pass, 1 in a raw tile, and another one where bits have to be loaded.
    Damaged words cannot stop it: it puts out as many symbols as it is asked for, and takes words up
    to the last one of each tile. What ``docs/format.md``, 11.8, wants rejected is ``broken``, but
    for escapes of symbols with a code.

    Parameters
    ----------
    values : components of a position, at most; a power of two

    Members
    -------
    head : In(HeadLayout); page : In(1); constant from ``start`` on
    write : In(ProjectionWrite), to the page that is not in use
    start : In(1), begin a frame
    i : In(stream of word_layout)
    idle : Out(1), between positions
    go : In(1), there is a position; it begins where ``idle``
    last : In(1), it is its tile's last one; constant until the next one begins
    o_valid, o : Out, a symbol; o_index : Out, its component; o_last : Out, the position's last one
    broken : Out(1), a tile was not one of such a frame; until the next ``start``
    """

    lookup_cycles = 3
    raw_cycles = 2

    def __init__(self, values: int):
        self._values = values
        exact_log2(values)
        super().__init__({
            "head": In(HeadLayout),
            "page": In(1),
            "write": In(ProjectionWrite),
            "start": In(1),
            "i": In(stream.Signature(word_layout(BLOCK))),
            "go": In(1),
            "last": In(1),
            "idle": Out(1),
            "o_valid": Out(1),
            "o": Out(RESULT),
            "o_index": Out(range(values)),
            "o_last": Out(1),
            "broken": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = BlockFifo(word_layout(BLOCK), _FIFO)
        m.submodules.window = window = BitWindow()
        wiring.connect(m, wiring.flipped(self.i), fifo.i)
        wiring.connect(m, fifo.o, window.i)
        index = Signal(range(self._values))
        final = Signal()  # component of the position
        emit, bad = Signal(), Signal()
        u = Signal(COMPONENT_BITS)
        again = Signal()  # a raw tile has ended, whose symbols came faster than codebooks are read
        book, primed = self._book(m, emit, again)
        node = Signal(range(BOOK_NODES))
        entry = self._node(m, Cat(window.bits[:NODE_BITS], node, book, self.page))
        token = entry.payload
        invalid = ~entry.leaf & (token == 0)
        follow, base = Signal(4), Signal(COMPONENT_BITS)  # bits of u that come, and above them
        octave = (token[1:] - ((1 << HUFFMAN_EXACT_BITS - 1) - HUFFMAN_EXACT_BITS))[:4]
        escape = token == HUFFMAN_ESCAPE
        components = register(m, self.head.step - 1)
        m.d.comb += window.burst_log2.eq(self.head.burst_log2)
        m.d.sync += final.eq(index == components)

        def emitted() -> None:
            """On to the next symbol."""
            m.d.comb += emit.eq(1)
            m.d.sync += [index.eq(Mux(final, 0, index + 1)), node.eq(0)]
            m.next = "look"
            with m.If(window.raw):
                m.next = "fill"
            with m.If(final):
                m.next = "idle"
                with m.If(self.last):
                    m.next = "finish"

        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.idle.eq(primed)
                with m.If(self.go & primed):
                    m.next = "fill"
            with m.State("fill"):
                m.d.comb += window.refill.eq(1)
                with m.If(window.ready):
                    m.d.sync += [follow.eq(COMPONENT_BITS), base.eq(0)]
                    m.next = "look"
                    with m.If(window.raw):
                        m.next = "follow"
            with m.State("look"):
                m.next = "wait"
            with m.State("wait"):
                m.d.comb += window.refill.eq(1)
                m.next = "use"
            with m.State("use"):
                m.d.comb += window.refill.eq(~window.ready)
                m.d.sync += [
                    follow.eq(Mux(escape, COMPONENT_BITS, octave - 1)),
                    base.eq(Mux(escape, 0, Cat(token[0], Const(1, 1)) << (octave - 1)[:4])),
                ]
                with m.If(window.ready):
                    m.d.comb += [
                        window.take.eq(1),
                        window.size.eq(Mux(entry.leaf, entry.length + 1, NODE_BITS)),
                        u.eq(Mux(entry.leaf, token, 0)),
                    ]
                    m.d.sync += node.eq(token)
                    m.next = "look"
                    with m.If(entry.leaf & token[HUFFMAN_EXACT_BITS]):
                        m.next = "follow"
                    with m.Elif(entry.leaf | invalid):
                        m.d.comb += bad.eq(invalid)
                        emitted()
            with m.State("follow"):
                m.d.comb += [
                    window.take.eq(1),
                    window.size.eq(follow),
                    u.eq(base | (window.bits & ((1 << follow) - 1))),
                    bad.eq(u.all()),
                ]
                emitted()
            with m.State("finish"):
                m.d.comb += [
                    window.finish.eq(1),
                    window.start.eq(window.finished),
                    again.eq(window.finished & window.raw),
                ]
                with m.If(window.finished):
                    m.next = "idle"
        sign = u[0]
        m.d.comb += [
            self.o_valid.eq(register_flag(m, emit)),
            self.o.eq(register(m, Cat(u[1:] ^ sign.replicate(COMPONENT_BITS - 1), sign))),
            self.o_index.eq(register(m, index)),
            self.o_last.eq(register(m, final)),
        ]
        wrong = register_flag(m, bad | window.wrong)
        with m.If(self.start):
            m.d.sync += self.broken.eq(0)
        with m.Elif(wrong):
            m.d.sync += self.broken.eq(1)
        return m

    def _book(self, m: Module, emit: Value, again: Value) -> tuple[Signal, Signal]:
        """Codebook of the component that comes, and whether it is known."""
        m.submodules.books = books = BlockRam(BOOK_BITS, 2 * self._values)
        upcoming = Signal(range(self._values))  # the component behind it
        book = Signal(BOOK_BITS)
        primed, settling = Signal(), Signal(2)
        components = register(m, self.head.step - 1)
        m.d.comb += [
            books.w_en.eq(write_of(self.write, ProjectionKind.INVERSE_BOOKS)),
            books.w_addr.eq(self.write.address),
            books.w_data.eq(self.write.data),
            books.r_en.eq(1),
            books.r_next.eq(1),
            books.r_addr.eq(Cat(upcoming, self.page)),
        ]
        step = emit | (~primed & (settling == 3))
        m.d.sync += settling.eq(Mux(primed, 0, settling + 1))
        with m.If(step):
            m.d.sync += [book.eq(books.r_data), primed.eq(1)]
            m.d.sync += upcoming.eq(Mux(upcoming == components, 0, upcoming + 1))
        with m.If(self.start | again):
            m.d.sync += [upcoming.eq(0), primed.eq(0), settling.eq(0)]
        return book, primed

    def _node(self, m: Module, address: Value) -> data.View:
        """What a node says of the next bits, two cycles later."""
        m.submodules.nodes = nodes = BlockRam(NodeLayout.size, 1 << len(address))
        m.d.comb += [
            nodes.w_en.eq(write_of(self.write, ProjectionKind.NODES)),
            nodes.w_addr.eq(self.write.address),
            nodes.w_data.eq(self.write.data),
            nodes.r_en.eq(1),
            nodes.r_next.eq(1),
            nodes.r_addr.eq(address),
        ]
        return data.View(NodeLayout, nodes.r_data)
