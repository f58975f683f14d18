"""All encoders and decoders of a board, of which the head's coder selects one."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, MULTIPLIER_BITS, Coder
from fmzip_hw.decoder import Decoder
from fmzip_hw.diffuse import DiffusionLayout
from fmzip_hw.encoder import Encoder
from fmzip_hw.fmzdecoder import FmzDecoder
from fmzip_hw.fmzencoder import FmzEncoder
from fmzip_hw.gf2codec import Gf2Decoder, Gf2Encoder
from fmzip_hw.layout import HeadLayout, beat_layout, beats_per_block, check_lanes, word_layout
from fmzip_hw.pipeline import register
from fmzip_hw.planesize import PlaneSize
from fmzip_hw.projectdecoder import ProjectionDecoder
from fmzip_hw.projectencoder import ProjectionEncoder
from fmzip_hw.projectsize import ProjectionSize
from fmzip_hw.projecttables import ProjectionWrite
from fmzip_hw.ransencode import RING_SLOTS
from fmzip_hw.sections import WordJoiner
from fmzip_hw.tablewindow import TableWrites


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


class Codecs(wiring.Component):
    """The codecs as one: a frame goes through the encoder, or decoder, of its head's coder.

    Parameters
    ----------
    lanes : values per beat
    ring_blocks : of the encoder and decoder of blocks
    rans : with the coder RANS
    ring_slots : of its encoder
    projection : with the coder HUFFMAN, of that size; it has 8 lanes
    planes : with the coder GF2, of that size; it has 8 lanes, too

    Members
    -------
    head : In(HeadLayout), the configuration, for ``known``
    encoder_head, decoder_head, multiplier, diffusion, page : In, copies of the configuration;
        constant while a frame is in work
    tables : In(TableWrites), while no frame is in work
    projections : In(ProjectionWrite), to the page that is not in work
    layers : In(ProjectionWrite), what the coder GF2 is told, while no frame is in work
    known : Out(1), there is a codec for the head's coder
    encode, decode : In(1), begin a frame
    i : In(stream of lanes x 8); take : Out, how many lanes of the next beat are values
    done : Out(1), all values of the frame have been taken
    written : Out(stream of word_layout(8)), from the encoder
    read : In(stream of word_layout(8)), to the decoder
    o : Out(stream of beat_layout)
    broken : Out(1), a tile that has been decoded did not end as it must
    """

    def __init__(
        self, lanes: int, ring_blocks: int, rans: bool, ring_slots: int = RING_SLOTS,
        projection: ProjectionSize | None = None, planes: PlaneSize | None = None,
    ) -> None:  # fmt: skip
        self.lanes = check_lanes(lanes)
        if planes is not None and lanes != BLOCK:
            raise ValueError(f"coder gf2 has {BLOCK} lanes, not {lanes}")
        if projection is not None and lanes != BLOCK:
            raise ValueError(f"coder huffman has {BLOCK} lanes, not {lanes}")
        exact_log2(ring_blocks)
        self._encoder, self._decoder = Encoder(lanes, ring_blocks), Decoder(lanes, ring_blocks)
        self._rans = (FmzEncoder(lanes, ring_slots), FmzDecoder(lanes)) if rans else None
        self._projection = None
        if projection is not None:
            self._projection = ProjectionEncoder(projection), ProjectionDecoder(projection)
        self._planes = None
        if planes is not None:
            self._planes = Gf2Encoder(planes), Gf2Decoder(planes)
        super().__init__({
            "head": In(HeadLayout),
            "encoder_head": In(HeadLayout),
            "decoder_head": In(HeadLayout),
            "multiplier": In(MULTIPLIER_BITS),
            "diffusion": In(DiffusionLayout),
            "page": In(1),
            "tables": In(TableWrites),
            "projections": In(ProjectionWrite),
            "layers": In(ProjectionWrite),
            "known": Out(1),
            "encode": In(1),
            "decode": In(1),
            "i": In(stream.Signature(data.ArrayLayout(8, lanes))),
            "take": Out(range(lanes + 1)),
            "done": Out(1),
            "written": Out(stream.Signature(word_layout(BLOCK))),
            "read": In(stream.Signature(word_layout(BLOCK))),
            "o": Out(stream.Signature(beat_layout(lanes))),
            "broken": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.encoder = encoder = self._encoder
        m.submodules.decoder = decoder = self._decoder
        m.submodules.joiner = joiner = WordJoiner(self.lanes)
        m.submodules.splitter = splitter = WordSplitter(self.lanes)
        wiring.connect(m, encoder.o, joiner.i)
        wiring.connect(m, splitter.o, decoder.i)
        # A head with a coder that is not there is refused.
        others: Value = Const(0)
        known: Value = Const(1)
        broken: Value = Const(0)
        pairs = (
            (Coder.RANS, self._rans, self.projections),
            (Coder.HUFFMAN, self._projection, self.projections),
            (Coder.GF2, self._planes, self.layers),
        )
        for coder, pair, write in pairs:
            if pair is None:
                known = known & (self.head.coder != coder)
                continue
            selected = register(m, self.head.coder == coder)
            broken = broken | (selected & pair[1].broken)
            others = others | selected
            name = coder.name.lower()
            m.submodules[f"{name}_encoder"], m.submodules[f"{name}_decoder"] = pair
            written, read = pair[0].o, pair[1].i
            if self.lanes != BLOCK:
                m.submodules[f"{name}_joiner"] = wide = WordJoiner(self.lanes)
                m.submodules[f"{name}_splitter"] = narrow = WordSplitter(self.lanes)
                wiring.connect(m, written, wide.i)
                wiring.connect(m, narrow.o, read)
                written, read = wide.o, narrow.i
            self._use(m, selected, pair[0], written, pair[1], read, write)
        self._use(m, ~others, encoder, joiner.o, decoder, splitter.i, self.projections)
        m.d.comb += [self.known.eq(known), self.broken.eq(broken)]
        return m

    def _use(
        self,
        m: Module,
        selected: Value,
        encoder: Encoder | FmzEncoder | ProjectionEncoder | Gf2Encoder,
        written: stream.Interface,
        decoder: Decoder | FmzDecoder | ProjectionDecoder | Gf2Decoder,
        read: stream.Interface,
        write: data.View,
    ) -> None:
        """Connect a pair of codecs while it is selected; else it gets nothing."""
        settings = {
            "multiplier": self.multiplier,
            "diffusion": self.diffusion,
            "page": self.page,
            "write": write,
            **{name: getattr(self.tables, name) for name in TableWrites.members},
        }
        for part, head in ((encoder, self.encoder_head), (decoder, self.decoder_head)):
            m.d.comb += part.head.eq(head)
            for name, value in settings.items():
                if name in part.signature.members:
                    m.d.comb += getattr(part, name).eq(value)
        m.d.comb += [
            encoder.i.payload.eq(self.i.payload),
            encoder.i.valid.eq(self.i.valid & selected),
            encoder.start.eq(self.encode & selected),
            decoder.start.eq(self.decode & selected),
            read.payload.eq(self.read.payload),
            read.valid.eq(self.read.valid & selected),
        ]
        with m.If(selected):
            m.d.comb += [
                self.i.ready.eq(encoder.i.ready),
                self.take.eq(encoder.take),
                self.done.eq(encoder.done),
                self.written.payload.eq(written.payload),
                self.written.valid.eq(written.valid),
                written.ready.eq(self.written.ready),
                self.read.ready.eq(read.ready),
                self.o.payload.eq(decoder.o.payload),
                self.o.valid.eq(decoder.o.valid),
                decoder.o.ready.eq(self.o.ready),
            ]
