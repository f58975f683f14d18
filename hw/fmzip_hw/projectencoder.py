"""The encoder of the coder HUFFMAN: values in wire order in, words of a frame's tiles out."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK
from fmzip.regs import ProjectionKind
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.positions import WORD
from fmzip_hw.project import ProjectionEngine
from fmzip_hw.projectpositions import PositionValues
from fmzip_hw.projectsize import ProjectionSize
from fmzip_hw.projecttables import ProjectionWrite
from fmzip_hw.projecttiles import TileCoder


class ProjectionEncoder(wiring.Component):
    """Codes a feature map: the tiles of ``fmzip.reference.projframe``.

    As fast as its multipliers, see ``ProjectionEngine``; values come and words leave meanwhile.
    Positions of 2 x 2 pixels have a number of channels that is a multiple of 8, and one group.

    Parameters
    ----------
    size : how large it is built

    Members
    -------
    head : In(HeadLayout), configuration; page : In(1); constant from ``start`` until the last word
        has left
    write : In(ProjectionWrite), to the page that is not in use
    start : In(1), begin a frame; only while ``done``
    i : In(stream of 8 x 8), values in wire order, position by position; a pixel's last beat may
        have fewer values. Pixels that a position lacks are there, too: copies of others
    take : Out, how many lanes of the next beat are values; the others are ignored
    o : Out(stream of word_layout), the words of each tile, padded to the burst
    done : Out(1), all values of the frame have been taken
    """

    lanes = BLOCK

    def __init__(self, size: ProjectionSize) -> None:
        self._engine = ProjectionEngine(size, ProjectionKind.FORWARD_BASE)
        self._values = PositionValues(size.values)
        self._tiles = TileCoder(size.symbols, size.values, size.lanes)
        super().__init__({
            "head": In(HeadLayout),
            "page": In(1),
            "write": In(ProjectionWrite),
            "start": In(1),
            "i": In(stream.Signature(WORD)),
            "take": Out(range(BLOCK + 1)),
            "o": Out(stream.Signature(word_layout(BLOCK))),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.values = values = self._values
        m.submodules.engine = engine = self._engine
        m.submodules.tiles = tiles = self._tiles
        wiring.connect(m, wiring.flipped(self.i), values.i)
        wiring.connect(m, tiles.o, wiring.flipped(self.o))
        for part in (values, engine, tiles):
            m.d.comb += part.start.eq(self.start)
        for part in (values, tiles):
            m.d.comb += part.head.eq(self.head)
        for part in (engine, tiles):
            m.d.comb += [part.page.eq(self.page), part.write.eq(self.write)]
        m.d.comb += [
            self.take.eq(values.take),
            self.done.eq(values.done),
            values.hold.eq(tiles.hold),
            tiles.tile_taken.eq(values.tile_taken),
            engine.there.eq(values.there & tiles.room),
            engine.mark.eq(values.last),
            values.taken.eq(engine.taken),
            values.release.eq(engine.release),
            values.address.eq(engine.address),
            engine.input.eq(values.o),
            tiles.reserve.eq(engine.taken),
            tiles.reserve_last.eq(values.last),
            tiles.i_valid.eq(engine.o_valid),
            tiles.i.eq(engine.o),
            tiles.i_index.eq(engine.o_index),
            tiles.i_last.eq(engine.o_last & engine.o_mark),
        ]
        return m
