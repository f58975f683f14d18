"""Beats to a frame in memory, and back: codec, frame writer and frame reader, wired."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, MULTIPLIER_BITS
from fmzip.regs import MAX_TILES, Fault
from fmzip_hw.decoder import Decoder
from fmzip_hw.encoder import Encoder
from fmzip_hw.frameindex import WORD_BITS, IndexMemory
from fmzip_hw.framereader import FrameReader
from fmzip_hw.framewriter import FrameWriter
from fmzip_hw.layout import HeadLayout, beats_per_block, check_lanes, word_layout
from fmzip_hw.memport import ADDRESS_BITS, MemoryPort
from fmzip_hw.sections import WordJoiner
from fmzip_hw.stream import Slice

_SETTLE = 31  # cycles from reset to start: what is computed from the configuration is then ready


class WordSplitter(wiring.Component):
    """Splits words of 64 bits into words of 8 bits per lane, the inverse of ``WordJoiner``.

    Parameters
    ----------
    lanes : 2, 4 or 8; with 8 it is a wire

    Members
    -------
    i : In(stream of word_layout(8))
    o : Out(stream of word_layout(lanes))
    """

    def __init__(self, lanes: int):
        self.lanes = check_lanes(lanes)
        super().__init__({
            "i": In(stream.Signature(word_layout(BLOCK))),
            "o": Out(stream.Signature(word_layout(lanes))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parts = beats_per_block(self.lanes)
        part = Signal(range(max(parts, 2)))
        final = part == parts - 1
        m.d.comb += [
            self.o.payload.data.eq(self.i.payload.data.word_select(part, 8 * self.lanes)),
            self.o.payload.raw.eq(self.i.payload.raw),
            self.o.payload.last.eq(self.i.payload.last & final),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & final),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += part.eq(Mux(final, 0, part + 1))
        return m


class FramePath(wiring.Component):
    """One frame at a time from beats into memory, or from memory into beats.

    Parameters
    ----------
    lanes : values per beat
    ring_blocks : of encoder and decoder

    Members
    -------
    head, multiplier, base : In, configuration; constant while a frame is in work
    reset, write, read, loop : In(1), abandon the frame in work, and then begin none or another;
        ``loop`` one that goes from the encoder straight to the decoder
    i, o : streams of lanes x 8, beats to the encoder and from the decoder
    taken : Out, values in the beat that ``i`` transfers
    writes, reads : Out(MemoryPort)
    abort : Out(1), the ports are reset
    idle : In(1), nothing is under way behind the ports
    writing, reading, looping : Out(1), what is in work
    running : Out(1), the frame in work has begun; before that, what moves belongs to another
    flowing : Out(1), not all values of the frame in work have moved yet
    fault : Out(8), see ``fmzip.regs.Fault``
    words : Out(32), size of the frame that was written
    coded : Out(1), a 64-bit word of a tile is written in this cycle
    """

    def __init__(self, lanes: int, ring_blocks: int):
        self.encoder = Encoder(lanes, ring_blocks)
        self.decoder = Decoder(lanes, ring_blocks)
        exact_log2(ring_blocks)
        beat = data.ArrayLayout(8, lanes)
        super().__init__({
            "head": In(HeadLayout),
            "multiplier": In(MULTIPLIER_BITS),
            "base": In(ADDRESS_BITS),
            "reset": In(1),
            "write": In(1),
            "read": In(1),
            "loop": In(1),
            "i": In(stream.Signature(beat)),
            "o": Out(stream.Signature(beat)),
            "taken": Out(range(lanes + 1)),
            "writes": Out(MemoryPort),
            "reads": Out(MemoryPort),
            "abort": Out(1),
            "idle": In(1),
            "writing": Out(1),
            "reading": Out(1),
            "looping": Out(1),
            "running": Out(1),
            "flowing": Out(1),
            "fault": Out(8),
            "words": Out(WORD_BITS),
            "coded": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.encoder.lanes
        encoder, decoder = self.encoder, self.decoder
        writer, reader = FrameWriter(), FrameReader()
        joiner, splitter = WordJoiner(lanes), WordSplitter(lanes)
        words = Slice(reader.o.payload.shape())  # cuts the way from the decoder to the memory
        resettable = ResetInserter(self.abort)
        m.submodules.encoder = resettable(encoder)
        m.submodules.joiner = resettable(joiner)
        m.submodules.writer = resettable(writer)
        m.submodules.reader = resettable(reader)
        m.submodules.words = resettable(words)
        m.submodules.splitter = resettable(splitter)
        m.submodules.decoder = resettable(decoder)
        m.submodules.index = index = IndexMemory()
        wiring.connect(m, writer.index, index.users[0])
        wiring.connect(m, reader.index, index.users[1])
        m.d.comb += index.select.eq(self.reading)

        wiring.connect(m, encoder.o, joiner.i)
        # Past the memory or not, what the decoder gets has gone through a slice.
        m.d.comb += [
            writer.i.payload.eq(joiner.o.payload),
            writer.i.valid.eq(joiner.o.valid & ~self.looping),
            words.i.payload.eq(Mux(self.looping, joiner.o.payload, reader.o.payload)),
            words.i.valid.eq(Mux(self.looping, joiner.o.valid, reader.o.valid)),
            joiner.o.ready.eq(Mux(self.looping, words.i.ready, writer.i.ready)),
            reader.o.ready.eq(words.i.ready & ~self.looping),
        ]
        wiring.connect(m, words.o, splitter.i)
        wiring.connect(m, splitter.o, decoder.i)
        wiring.connect(m, writer.port, wiring.flipped(self.writes))
        wiring.connect(m, reader.port, wiring.flipped(self.reads))
        for part in (encoder, writer, reader, decoder):
            m.d.comb += part.head.eq(self.head)
        for part in (writer, reader):
            m.d.comb += part.base.eq(self.base)

        last = Signal()
        tiles = Signal.like(self.head.tiles)  # that have been put out completely
        m.d.comb += [
            encoder.multiplier.eq(self.multiplier),
            encoder.i.payload.eq(self.i.payload),
            encoder.i.valid.eq(self.i.valid),
            self.i.ready.eq(encoder.i.ready),
            self.taken.eq(encoder.take),
            self.o.payload.eq(decoder.o.payload.data),
            self.o.valid.eq(decoder.o.valid),
            decoder.o.ready.eq(self.o.ready),
            last.eq(decoder.o.valid & decoder.o.ready & decoder.o.payload.last),
            self.words.eq(writer.words),
            self.coded.eq(joiner.o.valid & joiner.o.ready),
        ]
        self._job(m, encoder, writer, reader, decoder, tiles)
        with m.If(self.abort):
            m.d.sync += tiles.eq(0)
        with m.Elif(last):
            m.d.sync += tiles.eq(tiles + 1)
        return m

    def _job(
        self,
        m: Module,
        encoder: Encoder,
        writer: FrameWriter,
        reader: FrameReader,
        decoder: Decoder,
        tiles: Signal,
    ) -> None:
        """Reset, settle, start, and the end of a frame."""
        settle = Signal(range(_SETTLE + 1))
        to_write, to_read, to_loop = Signal(), Signal(), Signal()
        begun = self.write | self.read | self.loop
        complete = Signal()
        m.d.sync += complete.eq(tiles == self.head.tiles)
        m.d.comb += self.abort.eq(self.reset | begun)

        def begin() -> None:
            """What a strobe does, in any state."""
            with m.If(self.abort):
                m.d.sync += [
                    settle.eq(0),
                    to_write.eq(self.write),
                    to_read.eq(self.read & ~self.write),
                    to_loop.eq(self.loop & ~self.write & ~self.read),
                    self.fault.eq(Fault.NONE),
                    self.writing.eq(0),
                    self.reading.eq(0),
                    self.looping.eq(0),
                ]
                m.next = "idle"
                with m.If(begun & (self.head.tiles > MAX_TILES)):
                    m.d.sync += self.fault.eq(Fault.CONFIG)
                with m.Elif(begun):
                    m.d.sync += [
                        self.writing.eq(self.write),
                        self.reading.eq(self.read & ~self.write),
                        self.looping.eq(self.loop & ~self.write & ~self.read),
                    ]
                    m.next = "settle"

        m.d.comb += self.flowing.eq(1)
        with m.FSM():
            with m.State("idle"):
                begin()
            with m.State("settle"):
                with m.If(settle != _SETTLE):
                    m.d.sync += settle.eq(settle + 1)
                with m.Elif(self.idle):
                    m.next = "start"
                begin()
            with m.State("start"):
                m.d.comb += [
                    self.running.eq(1),
                    encoder.start.eq(to_write | to_loop),
                    writer.start.eq(to_write),
                    reader.start.eq(to_read),
                    decoder.start.eq(to_read | to_loop),
                ]
                m.next = "run"
                begin()
            with m.State("run"):
                m.d.comb += self.running.eq(1)
                m.d.comb += self.flowing.eq(Mux(to_write, ~encoder.done, ~complete))
                with m.If(to_write & writer.done & encoder.done):
                    m.d.sync += self.writing.eq(0)
                    m.next = "idle"
                with m.If(to_loop & encoder.done & complete):
                    m.d.sync += self.looping.eq(0)
                    m.next = "idle"
                with m.If(to_read & reader.done & (complete | (reader.fault != Fault.NONE))):
                    m.d.sync += [self.reading.eq(0), self.fault.eq(reader.fault)]
                    m.next = "idle"
                begin()
