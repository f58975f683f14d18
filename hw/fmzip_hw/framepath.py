"""Beats to a frame in memory, and back: codecs, frame writer and frame reader, wired."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import MULTIPLIER_BITS
from fmzip.regs import MAX_TILES, Fault
from fmzip_hw.codecs import Codecs
from fmzip_hw.diffuse import DiffusionLayout
from fmzip_hw.frameindex import WORD_BITS, IndexMemory
from fmzip_hw.framereader import FrameReader
from fmzip_hw.framewriter import FrameWriter
from fmzip_hw.layout import HeadLayout
from fmzip_hw.memport import ADDRESS_BITS, MemoryPort
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.planesize import PlaneSize
from fmzip_hw.projectsize import ProjectionSize
from fmzip_hw.projecttables import ProjectionWrite
from fmzip_hw.ransencode import RING_SLOTS
from fmzip_hw.stream import Slice
from fmzip_hw.tablewindow import TableWrites

_SETTLE = 31  # cycles from reset to start: what is computed from the configuration is then ready
_CHECK = 127  # cycles from the last beat until a decoder has seen the end of its last tile


class FramePath(wiring.Component):
    """One frame at a time from beats into memory, or from memory into beats.

    Parameters
    ----------
    lanes : values per beat
    ring_blocks : of encoder and decoder
    rans, ring_slots, projection, planes : with the coders RANS, HUFFMAN and GF2, see ``Codecs``

    Members
    -------
    head, multiplier, diffusion, page, base : In, configuration; constant while a frame is in work
    tables : In(TableWrites), while no frame is in work
    projections : In(ProjectionWrite), to the page that is not in work
    layers : In(ProjectionWrite), while no frame is in work
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

    def __init__(
        self, lanes: int, ring_blocks: int, rans: bool, ring_slots: int = RING_SLOTS,
        projection: ProjectionSize | None = None, planes: PlaneSize | None = None,
    ) -> None:  # fmt: skip
        self._codecs = Codecs(lanes, ring_blocks, rans, ring_slots, projection, planes)
        bare = planes is not None
        self._writer, self._reader = FrameWriter(bare), FrameReader(bare)
        beat = data.ArrayLayout(8, lanes)
        super().__init__({
            "head": In(HeadLayout),
            "multiplier": In(MULTIPLIER_BITS),
            "diffusion": In(DiffusionLayout),
            "page": In(1),
            "tables": In(TableWrites),
            "projections": In(ProjectionWrite),
            "layers": In(ProjectionWrite),
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
        codecs, writer, reader = self._codecs, self._writer, self._reader
        words = Slice(reader.o.payload.shape())  # cuts the way from the decoder to the memory
        resettable = ResetInserter(self.abort)
        m.submodules.codecs = resettable(codecs)
        m.submodules.writer = resettable(writer)
        m.submodules.reader = resettable(reader)
        m.submodules.words = resettable(words)
        coded = Slice(writer.i.payload.shape())  # cuts the way from the memory to the encoder
        m.submodules.coded = resettable(coded)
        wiring.connect(m, codecs.written, coded.i)
        m.submodules.index = index = IndexMemory()
        wiring.connect(m, writer.index, index.users[0])
        wiring.connect(m, reader.index, index.users[1])
        m.d.comb += index.select.eq(self.reading)

        # Past the memory or not, what the decoder gets has gone through a slice.
        written = coded.o
        m.d.comb += [
            writer.i.payload.eq(written.payload),
            writer.i.valid.eq(written.valid & ~self.looping),
            words.i.payload.eq(Mux(self.looping, written.payload, reader.o.payload)),
            words.i.valid.eq(Mux(self.looping, written.valid, reader.o.valid)),
            written.ready.eq(Mux(self.looping, words.i.ready, writer.i.ready)),
            reader.o.ready.eq(words.i.ready & ~self.looping),
        ]
        wiring.connect(m, words.o, codecs.read)
        wiring.connect(m, wiring.flipped(self.tables), codecs.tables)
        wiring.connect(m, writer.port, wiring.flipped(self.writes))
        wiring.connect(m, reader.port, wiring.flipped(self.reads))
        m.d.comb += codecs.head.eq(self.head)
        for part in (writer, reader):
            m.d.comb += part.base.eq(self.base)

        last = Signal()
        tiles = Signal.like(self.head.tiles)  # that have been put out completely
        m.d.comb += [
            codecs.page.eq(self.page),
            codecs.projections.eq(self.projections),
            codecs.layers.eq(self.layers),
            codecs.i.payload.eq(self.i.payload),
            codecs.i.valid.eq(self.i.valid),
            self.i.ready.eq(codecs.i.ready),
            self.taken.eq(codecs.take),
            self.o.payload.eq(codecs.o.payload.data),
            self.o.valid.eq(codecs.o.valid),
            codecs.o.ready.eq(self.o.ready),
            last.eq(codecs.o.valid & codecs.o.ready & codecs.o.payload.last),
            self.words.eq(writer.words),
            self.coded.eq(written.valid & written.ready),
        ]
        self._job(m, writer, reader, tiles)
        with m.If(self.abort):
            m.d.sync += tiles.eq(0)
        with m.Elif(last):
            m.d.sync += tiles.eq(tiles + 1)
        return m

    def _job(self, m: Module, writer: FrameWriter, reader: FrameReader, tiles: Signal) -> None:
        """Reset, settle, start, and the end of a frame."""
        codecs = self._codecs
        settle, settling = Signal(range(_CHECK + 1)), Signal()
        to_write, to_read, to_loop = Signal(), Signal(), Signal()

        def copy(value: Value, needed: Value) -> Signal:
            """Of the configuration, near to who needs it: taken while a frame settles."""
            return register(m, value, enable=register_flag(m, settling & needed))

        encodes, decodes = to_write | to_loop, to_read | to_loop
        m.d.comb += [
            codecs.encoder_head.eq(copy(self.head, encodes)),
            codecs.multiplier.eq(copy(self.multiplier, encodes)),
            Value.cast(codecs.diffusion).eq(copy(self.diffusion, encodes)),
            codecs.decoder_head.eq(copy(self.head, decodes)),
            writer.head.eq(copy(self.head, to_write)),
            reader.head.eq(copy(self.head, to_read)),
        ]
        # Registers: each reaches a whole codec, writer or reader.
        starting, strobes = Signal(), {}
        for name, needed in (("encode", encodes), ("decode", decodes), ("write", to_write),
                             ("read", to_read)):  # fmt: skip
            strobes[name] = register_flag(m, starting & needed & ~self.abort)
        m.d.comb += [
            codecs.encode.eq(strobes["encode"]),
            codecs.decode.eq(strobes["decode"]),
            writer.start.eq(strobes["write"]),
            reader.start.eq(strobes["read"]),
        ]
        begun = self.write | self.read | self.loop
        complete = Signal()
        m.d.sync += complete.eq(tiles == self.head.tiles)
        idle = register(m, self.idle)
        stop = self.reset | begun
        m.d.sync += self.abort.eq(stop)  # a register, since it reaches thousands of others
        another = register_flag(m, begun)  # and another frame is begun
        with m.If(stop):
            m.d.sync += [
                to_write.eq(self.write),
                to_read.eq(self.read & ~self.write),
                to_loop.eq(self.loop & ~self.write & ~self.read),
            ]
        # Of a configuration that is there before the strobe.
        impossible = register_flag(m, (self.head.tiles > MAX_TILES) | ~codecs.known)

        def begin() -> None:
            """What a strobe does, in any state, a cycle late."""
            with m.If(self.abort):
                m.d.sync += [
                    settle.eq(0),
                    self.fault.eq(Fault.NONE),
                    self.writing.eq(0),
                    self.reading.eq(0),
                    self.looping.eq(0),
                ]
                m.next = "idle"
                with m.If(another & impossible):
                    m.d.sync += self.fault.eq(Fault.CONFIG)
                with m.Elif(another):
                    m.d.sync += [
                        self.writing.eq(to_write),
                        self.reading.eq(to_read),
                        self.looping.eq(to_loop),
                    ]
                    m.next = "settle"

        m.d.comb += self.flowing.eq(1)
        with m.FSM():
            with m.State("idle"):
                begin()
            with m.State("settle"):
                m.d.comb += settling.eq(1)
                with m.If(settle != _SETTLE):
                    m.d.sync += settle.eq(settle + 1)
                with m.Elif(idle):
                    m.next = "start"
                begin()
            with m.State("start"):
                m.d.comb += [self.running.eq(1), starting.eq(1)]
                m.next = "started"
                begin()
            with m.State("started"):  # the strobes are there
                m.d.comb += self.running.eq(1)
                m.next = "run"
                begin()
            with m.State("run"):
                m.d.comb += self.running.eq(1)
                m.d.comb += self.flowing.eq(Mux(to_write, ~codecs.done, ~complete))
                with m.If(to_write & writer.done & codecs.done):
                    m.d.sync += self.writing.eq(0)
                    m.next = "idle"
                with m.If(to_loop & codecs.done & complete):
                    m.d.sync += self.looping.eq(0)
                    m.next = "idle"
                with m.If(to_read & reader.done & (complete | (reader.fault != Fault.NONE))):
                    m.d.sync += settle.eq(0)
                    m.next = "check"
                begin()
            with m.State("check"):
                # The decoder has put out all values before it knows that its last tile was whole.
                m.d.sync += settle.eq(settle + 1)
                with m.If(settle == _CHECK):
                    m.d.sync += [self.reading.eq(0), self.fault.eq(reader.fault)]
                    with m.If((reader.fault == Fault.NONE) & codecs.broken):
                        m.d.sync += self.fault.eq(Fault.STATES)
                    m.next = "idle"
                begin()
