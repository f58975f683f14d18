"""From the bytes of tiles, which came backwards, to the words of a frame."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register, register_flag, up_or_down
from fmzip_hw.ransreverse import ESCAPE_BITS, TileLayout
from fmzip_hw.sequence import DownCounter
from fmzip_hw.stream import CreditFifo

_BURST_BITS = 8  # of the longest burst, 256 bytes
_TILES = 2  # one in the backward pass, one that is put out


class RansDrain(wiring.Component):
    """Holds the words of the backward pass and puts out complete tiles, padded to the burst.

    A word per cycle, but for about 10 cycles per tile, and for as many cycles as a coded tile has
    escapes: they come byte by byte.

    Parameters
    ----------
    depth : words that the ring buffer holds, a power of two; the bytes and states of a tile must
        have ``in_flight`` words less
    in_flight : words that may still come after ``hold`` has risen
    lanes : 2, 4 or 8: bytes of a word

    Members
    -------
    head : In(HeadLayout), constant during a frame
    write, bits, done, offset : In, from the stacker
    tile : In(TileLayout), with ``done``
    hold : Out(1), there is no room for more than what is on its way
    taken : In(1), a tile enters the backward pass
    full : Out(1), none may
    escapes : In(stream of 8), of all tiles, raw ones too: as many as ``tile.escapes`` says
    o : Out(stream of word_layout)
    """

    def __init__(self, depth: int, in_flight: int, lanes: int = BLOCK):
        exact_log2(depth)
        self._depth, self._in_flight, self._lanes = depth, in_flight, lanes
        self._plan = data.StructLayout({
            "tile": TileLayout,
            "offset": exact_log2(lanes),
            "first": range(depth),
            "words": range(depth + 1),
        })  # fmt: skip
        super().__init__({
            "head": In(HeadLayout),
            "write": In(1),
            "bits": In(8 * lanes),
            "done": In(1),
            "offset": In(exact_log2(lanes)),
            "tile": In(TileLayout),
            "hold": Out(1),
            "taken": In(1),
            "full": Out(1),
            "escapes": In(stream.Signature(8)),
            "o": Out(stream.Signature(word_layout(lanes))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._lanes
        m.submodules.memory = memory = BlockRam(8 * lanes, self._depth)
        m.submodules.escapes = escapes = EscapeWords(lanes)
        m.submodules.aligner = aligner = WordAligner(lanes)
        m.submodules.left = left = DownCounter(self._depth.bit_length())
        m.submodules.out = out = CreditFifo(word_layout(lanes), depth=32)
        wiring.connect(m, wiring.flipped(self.escapes), escapes.i)
        wiring.connect(m, out.o, wiring.flipped(self.o))
        drop, finished = Signal(), Signal()
        # There are no more tiles than these two have places for.
        waiting, plan = Signal(self._plan, reset_less=True), Signal(self._plan, reset_less=True)
        waits, valid = Signal(), Signal()  # there is such a plan
        added = self._fill(m, memory, waiting, Mux(drop, plan.words, 0))
        with m.If(~valid):
            m.d.sync += [plan.eq(waiting), valid.eq(waits), waits.eq(0)]
        with m.Elif(finished):
            m.d.sync += valid.eq(0)
        with m.If(added):
            m.d.sync += waits.eq(1)
        tiles = Signal(range(_TILES + 1))
        with m.If(self.taken ^ finished):
            m.d.sync += tiles.eq(up_or_down(tiles, finished))
        m.d.comb += self.full.eq(tiles == _TILES)

        word_log2 = exact_log2(lanes)
        mask = Signal(_BURST_BITS - word_log2)  # of the number of a burst's words, from 0 on
        m.d.sync += mask.eq(((1 << self.head.burst_log2) - 1) >> word_log2)
        number = Signal.like(mask)  # of the next word of the tile, counted modulo the longest burst
        aligned = (number | ~mask).all()  # it may end the tile
        address = Signal(range(self._depth))
        issue, first = Signal(), Signal()
        with m.If(out.reserve):
            m.d.sync += number.eq(number + 1)
        m.d.comb += [
            memory.r_en.eq(1),
            memory.r_next.eq(1),
            memory.r_addr.eq(address),
            left.first.eq(plan.words),
            left.single.eq(plan.words == 1),
            aligner.valid.eq(issue),
            aligner.first.eq(first),
            aligner.offset.eq(plan.offset),
            aligner.word.eq(memory.r_data),
            escapes.free.eq(out.free),
            escapes.count.eq(plan.tile.escapes),
            out.reserve.eq(escapes.reserve | (issue & ~first)),
            finished.eq(issue & aligner.last),
        ]
        with m.FSM():
            with m.State("idle"):
                m.d.sync += [address.eq(plan.first), first.eq(1), number.eq(0)]
                m.d.comb += left.load.eq(1)
                with m.If(valid & ~escapes.dropping):
                    m.d.comb += [escapes.start.eq(~plan.tile.raw), escapes.drop.eq(plan.tile.raw)]
                    m.next = "escapes"
                    with m.If(plan.tile.raw):
                        m.next = "bytes"
            with m.State("escapes"), m.If(escapes.done):
                m.next = "bytes"
            with m.State("bytes"):
                m.d.comb += [issue.eq(out.free), left.step.eq(issue)]
                with m.If(issue):
                    m.d.sync += [address.eq(address + 1), first.eq(0)]
                    with m.If(left.last):
                        m.d.comb += drop.eq(1)
                        m.next = "padding"
            with m.State("padding"):
                # What is left of the last word, and whole words of padding.
                m.d.comb += [aligner.zero.eq(1), issue.eq(out.free), aligner.last.eq(aligned)]
                with m.If(issue & aligned):
                    m.next = "idle"

        # Words of the two parts never come at once: the first word of escapes comes at least 6
        # cycles behind the last one that was issued, which is more than the aligner takes. And a
        # tile's mode holds until its last word has left the aligner.
        is_raw = register(m, plan.tile.raw, WordAligner.latency)
        put, word = register_flag(m, escapes.put), register(m, escapes.word)
        m.d.comb += [
            out.put.eq(register_flag(m, aligner.o_valid | put)),
            out.payload.data.eq(register(m, Mux(put, word, aligner.o_word))),
            out.payload.last.eq(register(m, aligner.o_last)),
            out.payload.raw.eq(register(m, is_raw & ~put)),
        ]
        return m

    def _fill(self, m: Module, memory: BlockRam, plan: data.View, drop: Value) -> Value:
        """Write words at descending addresses; a tile's first word is the one written last.

        When a tile is complete, its plan is set; returns when that is.
        """
        place = Signal(range(self._depth))
        words = Signal(range(self._depth + 1))
        held = Signal(range(self._depth + 1))
        done = register_flag(m, self.done)
        tile, offset = register(m, self.tile), register(m, self.offset)
        m.d.comb += [
            memory.w_en.eq(self.write),
            memory.w_addr.eq(place),
            memory.w_data.eq(self.bits),
        ]
        with m.If(done):
            m.d.sync += [
                plan.tile.eq(tile),
                plan.offset.eq(offset),
                plan.first.eq(place + 1),
                plan.words.eq(words),
                words.eq(0),
            ]
        with m.If(self.write):
            m.d.sync += [place.eq(place - 1), words.eq(words + 1)]
        m.d.sync += [
            held.eq(held + register_flag(m, self.write) - register_flag(m, drop)),
            self.hold.eq(held > self._depth - self._in_flight),
        ]
        return done


class EscapeWords(wiring.Component):
    """The escape section of a tile: its length, the bytes, zeros to a multiple of 8 bytes.

    Parameters
    ----------
    lanes : 2, 4 or 8: bytes of a word

    Members
    -------
    start : In(1), begin a tile's section
    drop : In(1), drop the tile's escapes instead
    count : In(13), escapes of the tile; constant until ``done``, with ``drop`` in that cycle only
    i : In(stream of 8)
    dropping : Out(1), escapes are being dropped
    free, reserve : In(1), Out(1), a place for a word behind this one
    put, word : Out, the word, one cycle later
    done : Out(1), with the last ``reserve``
    """

    def __init__(self, lanes: int = BLOCK):
        self._lanes = lanes
        super().__init__({
            "start": In(1),
            "drop": In(1),
            "count": In(ESCAPE_BITS),
            "i": In(stream.Signature(8)),
            "dropping": Out(1),
            "free": In(1),
            "reserve": Out(1),
            "put": Out(1),
            "word": Out(8 * lanes),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(ESCAPE_BITS)
        some = Signal()  # left != 0
        byte = Signal(8)
        place = Signal(range(BLOCK))  # of the byte, counted modulo 8
        there, step = Signal(), Signal()
        in_word, last = place[: exact_log2(self._lanes)], self._lanes - 1
        whole: Value = Const(1)  # the section may end with this word
        if self._lanes != BLOCK:
            whole = place.all()
        m.d.comb += [
            self.reserve.eq(step & (in_word == last)),
            step.eq(there & ((in_word != last) | self.free)),
        ]
        m.d.sync += self.put.eq(self.reserve)
        with m.If(step):
            m.d.sync += [place.eq(place + 1), self.word.eq(Cat(self.word[8:], byte))]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [left.eq(left - 1), some.eq(left != 1)]
        with m.FSM():
            with m.State("idle"):
                m.d.sync += [left.eq(self.count), some.eq(self.count != 0)]
                with m.If(self.start):
                    m.next = "low"
                with m.If(self.drop):
                    m.next = "drop"
            with m.State("low"):
                m.d.comb += [byte.eq(self.count[:8]), there.eq(1)]
                m.next = "high"
            with m.State("high"):
                m.d.comb += [byte.eq(self.count[8:]), there.eq(1)]
                m.next = "bytes"
                if self._lanes == 2:  # it ends a word, for which there must be a place
                    with m.If(~step):
                        m.next = "high"
            with m.State("bytes"):
                m.d.comb += [
                    byte.eq(Mux(some, self.i.payload, 0)),
                    there.eq(self.i.valid | ~some),
                    self.i.ready.eq(some & step),
                    self.done.eq(self.reserve & whole & (~some | (left == 1))),
                ]
                with m.If(self.done):
                    m.next = "idle"
            with m.State("drop"):
                m.d.comb += [self.dropping.eq(1), self.i.ready.eq(some)]
                with m.If(~some):
                    m.next = "idle"
        return m


class WordAligner(wiring.Component):
    """Words whose first byte is byte ``offset`` of the first, as words that begin with it.

    Latency ``latency`` cycles; never stalls. A word is put out when the one behind it comes.

    Parameters
    ----------
    lanes : 2, 4 or 8: bytes of a word

    Members
    -------
    valid : In(1), a word comes ``BlockRam.latency`` cycles later
    first : In(1), nothing is put out
    zero : In(1), the word is 0
    last : In(1)
    offset : In, 0 to lanes - 1
    word : In(8 x lanes)
    o_valid, o_word, o_last : Out
    """

    latency = BlockRam.latency + 3

    def __init__(self, lanes: int = BLOCK):
        self._lanes = lanes
        super().__init__({
            "valid": In(1),
            "first": In(1),
            "zero": In(1),
            "last": In(1),
            "offset": In(exact_log2(lanes)),
            "word": In(8 * lanes),
            "o_valid": Out(1),
            "o_word": Out(8 * lanes),
            "o_last": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, fetch = self._lanes, BlockRam.latency + 1
        offset = register(m, self.offset, fetch)
        word: Value = register(m, self.word)  # the memory is far away
        for k in range(min(2, len(offset))):
            word = Mux(offset[k], word.rotate_right(8 << k), word)
        word, offset = register(m, word), register(m, offset)
        current = Signal(8 * lanes, reset_less=True)
        if len(offset) > 2:
            word = Mux(offset[2], word.rotate_right(32), word)
        m.d.sync += current.eq(word)
        with m.If(register_flag(m, self.zero, fetch + 1)):
            m.d.sync += current.eq(0)
        # Bytes of the word before come first, as many as it had left.
        of_before = [
            register(m, Const((1 << lanes - k) - 1, lanes).bit_select(offset, 1))
            for k in range(lanes)
        ]
        valid = register_flag(m, self.valid, self.latency)
        before = register(m, current, enable=valid)
        m.d.comb += [
            self.o_valid.eq(valid & ~register_flag(m, self.first, self.latency)),
            self.o_last.eq(register_flag(m, self.last, self.latency)),
            self.o_word.eq(
                Cat(
                    Mux(of_before[k], before[8 * k :][:8], current[8 * k :][:8])
                    for k in range(lanes)
                )
            ),
        ]
        return m
