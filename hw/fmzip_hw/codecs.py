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
from fmzip_hw.layout import HeadLayout, beat_layout, beats_per_block, check_lanes, word_layout
from fmzip_hw.pipeline import register
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
    rans : with the coder RANS, which has 8 lanes
    ring_slots : of its encoder

    Members
    -------
    head, multiplier, diffusion : In, configuration; constant while a frame is in work
    tables : In(TableWrites), while no frame is in work
    known : Out(1), there is a codec for the head's coder
    encode, decode : In(1), begin a frame
    i : In(stream of lanes x 8); take : Out, how many lanes of the next beat are values
    done : Out(1), all values of the frame have been taken
    written : Out(stream of word_layout(8)), from the encoder
    read : In(stream of word_layout(8)), to the decoder
    o : Out(stream of beat_layout)
    broken : Out(1), a tile that has been decoded did not end as it must
    """

    def __init__(self, lanes: int, ring_blocks: int, rans: bool, ring_slots: int = RING_SLOTS):
        self.lanes = check_lanes(lanes)
        if rans and lanes != BLOCK:
            raise ValueError(f"coder rans has {BLOCK} lanes, not {lanes}")
        exact_log2(ring_blocks)
        self._encoder, self._decoder = Encoder(lanes, ring_blocks), Decoder(lanes, ring_blocks)
        self._rans = (FmzEncoder(ring_slots), FmzDecoder()) if rans else None
        super().__init__({
            "head": In(HeadLayout),
            "multiplier": In(MULTIPLIER_BITS),
            "diffusion": In(DiffusionLayout),
            "tables": In(TableWrites),
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
        if self._rans is None:
            m.d.comb += self.known.eq(self.head.coder != Coder.RANS)
            self._use(m, Const(1), encoder, joiner.o, decoder, splitter.i)
            return m
        is_rans = register(m, self.head.coder == Coder.RANS)
        m.d.comb += self.known.eq(1)
        m.submodules.rans_encoder = rans_encoder = self._rans[0]
        m.submodules.rans_decoder = rans_decoder = self._rans[1]
        for rans in self._rans:
            for name in TableWrites.members:
                if name in rans.signature.members:
                    m.d.comb += getattr(rans, name).eq(getattr(self.tables, name))
        m.d.comb += [
            rans_encoder.diffusion.eq(self.diffusion),
            self.broken.eq(is_rans & rans_decoder.broken),
        ]
        self._use(m, ~is_rans, encoder, joiner.o, decoder, splitter.i)
        self._use(m, is_rans, rans_encoder, rans_encoder.o, rans_decoder, rans_decoder.i)
        return m

    def _use(
        self,
        m: Module,
        selected: Value,
        encoder: Encoder | FmzEncoder,
        written: stream.Interface,
        decoder: Decoder | FmzDecoder,
        read: stream.Interface,
    ) -> None:
        """Connect a pair of codecs while it is selected; else it gets nothing."""
        for part in (encoder, decoder):
            m.d.comb += part.head.eq(self.head)
        m.d.comb += [
            encoder.multiplier.eq(self.multiplier),
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
