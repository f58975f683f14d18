"""Encoder and decoder of whole frames: streams of values and of a frame's words, no memory."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, MULTIPLIER_BITS
from fmzip.ipregs import CoreFault
from fmzip.regs import MAX_TILES
from fmzip_hw.codecs import WordSplitter
from fmzip_hw.cores import Codec, codec_of
from fmzip_hw.diffuse import DiffusionLayout
from fmzip_hw.framecompose import FrameComposer, FrameWord
from fmzip_hw.frameindex import HEAD_WORDS, WORD_BITS, IndexMemory
from fmzip_hw.frameparse import FrameParser
from fmzip_hw.layout import HeadLayout, beat_layout, word_layout
from fmzip_hw.sections import WordJoiner
from fmzip_hw.stream import Slice
from fmzip_hw.tables import TableLoader
from fmzip_hw.tablewindow import TableWrites
from fmzip_hw.tilelimits import TileLimits

_SETTLE = 31  # cycles from configuration to start: what is computed from it is then ready

PacketWord = data.StructLayout({
    "data": 8 * BLOCK,
    "last": 1,  # ends the packet
    "null": 1,  # not a word: only its ``last`` counts
})  # fmt: skip


def _table_members(codec: Codec) -> dict[str, Any]:
    if not codec.tables:
        return {}
    return {
        "tables": In(stream.Signature(8)),
        "tables_start": In(1),
        "tables_whole": Out(1),
    }


def _load_tables(m: Module, core: Any, inner: Any) -> None:
    """Let the bytes of the tables through to where they are looked up."""
    m.submodules.loader = loader = TableLoader()
    wiring.connect(m, wiring.flipped(core.tables), loader.i)
    m.d.comb += [
        loader.head.eq(core.head),
        loader.start.eq(core.tables_start),
        core.tables_whole.eq(loader.whole),
    ]
    for name in TableWrites.members:
        if name in inner.signature.members:
            m.d.comb += getattr(inner, name).eq(getattr(loader, name))


def _taken(codec: Codec, head: Value) -> Value:
    """The codec takes frames of this head, as far as can be seen at once."""
    known = [head.coder == coder for coder in codec.coders]
    return (head.tiles <= MAX_TILES) & Cat(known).any()


def _limits(m: Module, core: Any) -> TileLimits:
    """Whether its tiles fit, which is known when the configuration has settled."""
    assert TileLimits.cycles <= _SETTLE
    m.submodules.limits = limits = TileLimits(rans=core._codec.tables)
    m.d.comb += limits.head.eq(core.head)
    return limits


class FrameEncoder(wiring.Component):
    """Values in wire order in; a frame out, its tiles first and then its head.

    As many beats per cycle as the codec takes: between it and ``o`` there are only wires. A frame
    begins 32 cycles behind ``start``, and its head takes four cycles per word behind the tiles.

    Parameters
    ----------
    codec, lanes : see ``fmzip_hw.cores``

    Members
    -------
    head, multiplier, diffusion : In, configuration; constant while ``busy``
    tables : In(stream of 8), the string of the tables, while not ``busy``; ``tables_start`` begins
        anew, ``tables_whole`` see ``TableLoader``. Where the codec has some
    start : In(1), begin a frame; only while not ``busy``
    abort : In(1), give up the frame in work; what was offered on ``o`` is withdrawn
    i : In(stream of lanes x 8), values in wire order; not taken while not ``busy``
    o : Out(stream of FrameWord)
    busy : Out(1), from ``start`` until the last word has left
    all : Out(1), all values of the frame have been taken
    fault : Out(8), CoreFault of the frame that was begun last
    first : Out, words of the head; words : Out(32), of the frame that was coded last
    """

    def __init__(self, codec: str = "dctcm", lanes: int = BLOCK):
        self._codec = codec_of(codec, lanes)
        self.lanes = lanes
        self._inner = self._codec.encoder(lanes)
        self.latency: int | None = getattr(self._inner, "latency", None)
        super().__init__({
            "head": In(HeadLayout),
            "multiplier": In(MULTIPLIER_BITS),
            **({"diffusion": In(DiffusionLayout)} if self._codec.tables else {}),
            **_table_members(self._codec),
            "start": In(1),
            "abort": In(1),
            "i": In(stream.Signature(data.ArrayLayout(8, lanes))),
            "o": Out(stream.Signature(FrameWord)),
            "busy": Out(1),
            "all": Out(1),
            "fault": Out(8),
            "first": Out(HEAD_WORDS),
            "words": Out(WORD_BITS),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inner, composer, joiner = self._inner, FrameComposer(), WordJoiner(self.lanes)
        reset = ResetInserter(self.abort)
        m.submodules.codec = reset(inner)
        m.submodules.joiner = reset(joiner)
        m.submodules.composer = reset(composer)
        m.submodules.index = index = IndexMemory()
        wiring.connect(m, composer.index, index.users[0])
        wiring.connect(m, inner.o, joiner.i)
        wiring.connect(m, joiner.o, composer.i)
        wiring.connect(m, composer.o, wiring.flipped(self.o))
        if self._codec.tables:
            _load_tables(m, self, inner)
            m.d.comb += inner.diffusion.eq(self.diffusion)
        settle = Signal(range(_SETTLE + 1))
        begin = Signal()
        limits = _limits(m, self)

        def on_abort() -> None:
            with m.If(self.abort):
                m.d.sync += self.busy.eq(0)
                m.next = "idle"

        m.d.comb += [
            inner.head.eq(self.head),
            inner.multiplier.eq(self.multiplier),
            composer.head.eq(self.head),
            inner.start.eq(begin),
            composer.start.eq(begin),
            self.first.eq(composer.first),
            self.words.eq(composer.words),
        ]
        with m.FSM():
            with m.State("idle"):
                m.d.sync += settle.eq(0)
                m.d.comb += self.all.eq(1)
                with m.If(self.start & ~self.abort):
                    with m.If(_taken(self._codec, self.head)):
                        m.d.comb += limits.start.eq(1)
                        m.d.sync += [self.busy.eq(1), self.fault.eq(CoreFault.NONE)]
                        m.next = "settle"
                    with m.Else():
                        m.d.sync += self.fault.eq(CoreFault.CONFIG)
            with m.State("settle"):
                with m.If(settle != _SETTLE):
                    m.d.sync += settle.eq(settle + 1)
                with m.Elif(limits.known & limits.fits):
                    m.d.comb += begin.eq(1)
                    m.next = "run"
                with m.Elif(limits.known):
                    m.d.sync += [self.busy.eq(0), self.fault.eq(CoreFault.CONFIG)]
                    m.next = "idle"
                on_abort()
            with m.State("run"):
                m.d.comb += [
                    inner.i.payload.eq(self.i.payload),
                    inner.i.valid.eq(self.i.valid),
                    self.i.ready.eq(inner.i.ready),
                    self.all.eq(inner.done),
                ]
                with m.If(composer.done & inner.done):
                    m.d.sync += self.busy.eq(0)
                    m.next = "idle"
                on_abort()
        return m


class FrameDecoder(wiring.Component):
    """A frame in, its head first; values in wire order out.

    A frame that is not intact never stops it: once its packet has ended, as many values have come
    out as the configuration has, or, where the head is at fault, none; ``fault`` says why.

    Parameters
    ----------
    codec, lanes : see ``fmzip_hw.cores``

    Members
    -------
    head : In, configuration; constant while ``busy``
    tables, tables_start, tables_whole : as for ``FrameEncoder``
    start : In(1), begin a frame, whose head must be the configured one; only while not ``busy``
    tile, raw : In(1), in place of ``start``: begin a tile without a head, and whether it is raw.
        The configuration is that of a map which is this tile
    abort : In(1), give up the frame in work; what was offered on ``o`` is withdrawn
    i : In(stream of PacketWord); not taken while not ``busy``
    o : Out(stream of beat_layout(lanes)), ``last`` ends the frame
    busy : Out(1), from ``start`` until the packet has ended and all values have left
    fault : Out(8), CoreFault of the frame that was begun last; valid while not ``busy``
    first : Out, words of the head
    """

    def __init__(self, codec: str = "dctcm", lanes: int = BLOCK):
        self._codec = codec_of(codec, lanes)
        self.lanes = lanes
        self._inner = self._codec.decoder(lanes)
        self.latency: int | None = getattr(self._inner, "latency", None)
        super().__init__({
            "head": In(HeadLayout),
            **_table_members(self._codec),
            "start": In(1),
            "tile": In(1),
            "raw": In(1),
            "abort": In(1),
            "i": In(stream.Signature(PacketWord)),
            "o": Out(stream.Signature(beat_layout(lanes))),
            "busy": Out(1),
            "fault": Out(8),
            "first": Out(HEAD_WORDS),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inner, parser, splitter = self._inner, FrameParser(), WordSplitter(self.lanes)
        slice_ = Slice(word_layout(BLOCK))  # no path from the decoder to the source
        begin = Signal()
        reset = ResetInserter(self.abort | begin)
        m.submodules.codec = reset(inner)
        m.submodules.splitter = reset(splitter)
        m.submodules.slice = reset(slice_)
        m.submodules.parser = reset(parser)
        m.submodules.index = index = IndexMemory()
        wiring.connect(m, parser.index, index.users[0])
        wiring.connect(m, slice_.o, splitter.i)
        wiring.connect(m, splitter.o, inner.i)
        if self._codec.tables:
            _load_tables(m, self, inner)
        go = Signal()  # the configuration has settled
        bare = Signal()  # a tile without a head
        raw = Signal()
        m.d.comb += [
            inner.head.eq(self.head),
            parser.head.eq(self.head),
            inner.start.eq(go),
            parser.start.eq(go & ~bare),
            self.first.eq(parser.first),
        ]
        limits = _limits(m, self)
        sent, out = self._count_tiles(m, slice_, begin)
        broken = inner.broken if self._codec.tables else Const(0)

        check = max(_SETTLE, inner.settle if self._codec.tables else 0)
        settle = Signal(range(check + 1))
        begun = Signal()  # words have gone to the decoder, so that values must come
        ended = Signal()  # the packet has
        moved = Signal()
        complete = Signal()  # the last word of the frame has come
        at_end = parser.ending & ~self.i.payload.null
        tiles = self.head.tiles[: len(sent)]
        m.d.comb += moved.eq(self.i.valid & self.i.ready)
        with m.If(moved & self.i.payload.last):
            m.d.sync += ended.eq(1)

        def on_abort() -> None:
            with m.If(self.abort):
                m.d.sync += [self.busy.eq(0), self.fault.eq(CoreFault.NONE)]
                m.next = "idle"

        def blame(fault: CoreFault) -> None:
            """The first fault counts."""
            with m.If(self.fault == CoreFault.NONE):
                m.d.sync += self.fault.eq(fault)

        with m.FSM():
            with m.State("idle"):
                m.d.sync += [settle.eq(0), begun.eq(0), ended.eq(0), raw.eq(self.raw)]
                m.d.sync += complete.eq(0)
                m.d.sync += bare.eq(self.tile)
                with m.If((self.start | self.tile) & ~self.abort):
                    m.d.sync += self.fault.eq(CoreFault.NONE)
                    fits = _taken(self._codec, self.head) & (~self.tile | (self.head.tiles == 1))
                    with m.If(fits):
                        m.d.comb += [begin.eq(1), limits.start.eq(1)]
                        m.d.sync += self.busy.eq(1)
                        m.next = "settle"
                    with m.Else():
                        m.d.sync += self.fault.eq(CoreFault.CONFIG)
            with m.State("settle"):
                with m.If(settle != _SETTLE):
                    m.d.sync += settle.eq(settle + 1)
                with m.Elif(limits.known & limits.fits):
                    m.d.comb += go.eq(1)
                    m.next = "parse"
                    with m.If(bare):
                        m.d.sync += begun.eq(1)
                        m.next = "tile"
                with m.Elif(limits.known):
                    m.d.sync += [self.busy.eq(0), self.fault.eq(CoreFault.CONFIG)]
                    m.next = "idle"
                on_abort()
            with m.State("tile"):
                m.d.comb += [
                    slice_.i.payload.data.eq(self.i.payload.data),
                    slice_.i.payload.last.eq(self.i.payload.last),
                    slice_.i.payload.raw.eq(raw),
                    slice_.i.valid.eq(self.i.valid & (self.i.payload.last | ~self.i.payload.null)),
                    self.i.ready.eq(slice_.i.ready | (self.i.payload.null & ~self.i.payload.last)),
                ]
                with m.If(moved & self.i.payload.last):
                    m.next = "finish"
                on_abort()
            with m.State("parse"):
                m.d.comb += [
                    parser.i.payload.eq(self.i.payload.data),
                    parser.i.valid.eq(self.i.valid & ~self.i.payload.null),
                    self.i.ready.eq(parser.i.ready | self.i.payload.null),
                    slice_.i.payload.eq(parser.o.payload),
                    slice_.i.valid.eq(parser.o.valid),
                    parser.o.ready.eq(slice_.i.ready),
                ]
                with m.If(moved & at_end):
                    m.d.sync += complete.eq(1)
                with m.If(parser.load):
                    m.d.sync += begun.eq(1)
                with m.If(parser.o.valid):
                    m.d.sync += raw.eq(parser.o.payload.raw)
                with m.If(parser.done):
                    m.d.sync += self.fault.eq(parser.fault)
                    m.next = "finish"
                with m.Elif(moved & self.i.payload.last & ~complete & ~at_end):
                    blame(CoreFault.SHORT)
                    m.next = "finish"
                on_abort()
            with m.State("finish"):
                # What is left of the packet is dropped, and tiles that are missing are made up.
                m.d.comb += [
                    self.i.ready.eq(~ended),
                    slice_.i.payload.last.eq(1),
                    slice_.i.payload.raw.eq(raw),  # a tile that was cut off stays what it was
                    slice_.i.valid.eq(begun & (sent != tiles)),
                ]
                with m.If(moved & ~self.i.payload.null):
                    blame(CoreFault.LONG)
                with m.If(ended & (~begun | (out == tiles))):
                    m.d.sync += settle.eq(0)
                    m.next = "check"
                on_abort()
            with m.State("check"):
                # The decoder has put out all values before it knows that its last tile was whole.
                m.d.sync += settle.eq(settle + 1)
                with m.If(settle == check):
                    with m.If(begun & broken):
                        blame(CoreFault.STATES)
                    m.d.sync += self.busy.eq(0)
                    m.next = "idle"
                on_abort()
        return m

    def _count_tiles(self, m: Module, words: Slice, begin: Value) -> tuple[Signal, Signal]:
        """Tiles whose last word, and whose last beat, have passed."""
        inner = self._inner
        sent, out = Signal(range(MAX_TILES + 1)), Signal(range(MAX_TILES + 1))
        with m.If(begin):
            m.d.sync += [sent.eq(0), out.eq(0)]
        with m.Else():
            with m.If(words.i.valid & words.i.ready & words.i.payload.last):
                m.d.sync += sent.eq(sent + 1)
            with m.If(self.o.valid & self.o.ready & inner.o.payload.last):
                m.d.sync += out.eq(out + 1)
        final = out + 1 == self.head.tiles[: len(out)]
        m.d.comb += [
            self.o.payload.eq(inner.o.payload),
            self.o.payload.last.eq(inner.o.payload.last & final),
            self.o.valid.eq(inner.o.valid),
            inner.o.ready.eq(self.o.ready),
        ]
        return sent, out
