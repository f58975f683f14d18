"""Buffers of the encoder: a tile is held raw and coded until it is known which is smaller."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK
from fmzip_hw.layout import beats_per_block, check_lanes, word_layout
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.sectionmemory import SectionMemory
from fmzip_hw.stream import CreditFifo, Slice
from fmzip_hw.tiledrain import Drain, Judge

# Words that may still come when a memory says that it has no room: about 31 beats are in the
# pipeline; one that fills a word of values per beat would need 11 bits of 16. Two bits of eight
# at most are widths and bitmaps.
_IN_FLIGHT = 24
# With fewer beats in the buffers, what is in flight would be more than 1/16 of a memory.
_MIN_BEATS = 1024
_QUEUE = 2  # complete tiles that wait behind the one that is put out


def check_ring(lanes: int, ring_blocks: int) -> int:
    """``ring_blocks`` if it is large enough and a power of two; ValueError otherwise."""
    least = _MIN_BEATS // beats_per_block(lanes)
    if ring_blocks < least:
        raise ValueError(f"ring_blocks must be at least {least}, not {ring_blocks}")
    exact_log2(ring_blocks)
    return ring_blocks


class TileBuffer(wiring.Component):
    """Holds the sections of coded tiles and their raw values, and puts out the smaller of both.

    A tile is put out when it is complete: its words, padded to the burst. ``latency`` cycles pass
    from ``sections["values"].end`` to the first word. Tiles follow each other without a gap as
    long as they are no shorter than ``min_cycles``.

    Parameters
    ----------
    lanes : a word has 8 bits per lane
    ring_blocks : blocks that the ring buffers hold, a power of two; a tile may have 15/16 of it

    Members
    -------
    widths, bitmaps, values, raw : SectionMemory, for writing; raise ``end`` of ``values`` last
    half : In(1), with the end of ``values``: the last value word is at most half full
    burst_log2 : In(4), of the DRAM burst in bytes
    room : Out(1), another beat may enter the pipeline
    tile_taken : In(1), the last beat of a tile enters the pipeline
    full : Out(1), no further tile may begin
    o : Out(stream of word_layout)
    """

    latency = 9 + SectionMemory.read_latency + CreditFifo.latency

    def __init__(self, lanes: int, ring_blocks: int):
        self.lanes = check_lanes(lanes)
        beats = check_ring(lanes, ring_blocks) * beats_per_block(lanes)
        limit = beats * 15 // 16
        word = BLOCK * lanes
        self.widths = SectionMemory(word, beats // 8, beats // 8, _IN_FLIGHT // 2)
        self.bitmaps = SectionMemory(word, beats // 4, beats // 4, _IN_FLIGHT // 2)
        self.values = SectionMemory(2 * word, beats // 2, limit // 2, _IN_FLIGHT)
        self.raw = SectionMemory(word, beats, beats, _IN_FLIGHT)
        self._count = range(2 * beats)
        super().__init__({
            "half": In(1),
            "burst_log2": In(4),
            "room": Out(1),
            "tile_taken": In(1),
            "full": Out(1),
            "o": Out(stream.Signature(word_layout(lanes))),
        })  # fmt: skip

    @property
    def sections(self) -> dict[str, SectionMemory]:
        return {
            "widths": self.widths,
            "bitmaps": self.bitmaps,
            "values": self.values,
            "raw": self.raw,
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, section in self.sections.items():
            m.submodules[name] = section
        m.d.sync += self.room.eq(
            self.widths.room & self.bitmaps.room & self.values.room & self.raw.room
        )
        m.submodules.judge = judge = Judge(self.lanes, self._count)
        m.submodules.queue = queue = Slice(judge.o.payload.shape())
        m.submodules.drain = drain = Drain(self.lanes, self._count, self.sections)
        m.d.comb += [
            judge.start.eq(register_flag(m, self.values.end)),
            judge.widths.eq(self.widths.words),
            judge.bitmaps.eq(self.bitmaps.words),
            judge.values.eq(self.values.words),
            judge.raw.eq(self.raw.words),
            judge.half.eq(register(m, self.half)),
            judge.burst_log2.eq(self.burst_log2),
        ]
        tiles = Signal(range(_QUEUE + 2))  # taken, but not yet put out
        with m.If(self.tile_taken & ~drain.done):
            m.d.sync += tiles.eq(tiles + 1)
        with m.Elif(~self.tile_taken & drain.done):
            m.d.sync += tiles.eq(tiles - 1)
        m.d.comb += self.full.eq(tiles > _QUEUE)
        wiring.connect(m, judge.o, queue.i)
        wiring.connect(m, queue.o, drain.i)
        wiring.connect(m, drain.o, wiring.flipped(self.o))
        return m
