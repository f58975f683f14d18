"""Whether a configuration's tiles fit into the buffers: checked before a frame begins."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import POSITION_SLOTS_MAX, ROW_SLOTS_MAX, TILE_BLOCKS_MAX, TILE_SLOTS_MAX
from fmzip_hw.layout import HeadLayout
from fmzip_hw.pipeline import register
from fmzip_hw.planes import planes_of
from fmzip_hw.positions import spatial
from fmzip_hw.sequence import blocks_per_pixel

_SIDE_BITS = 16


class TileLimits(wiring.Component):
    """Counts what a tile of full size has, one bit of a side per cycle.

    ``cycles`` is enough for any tile that fits; one that does not may take some more.

    Parameters
    ----------
    rans : count slots, as the coder rans does, and not blocks

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until ``known``
    start : In(1), begin
    known : Out(1), ``fits`` is right; until the next start
    fits : Out(1), no side of map or tile is 0, and no limit of the buffers is exceeded
    """

    cycles = 6 + (TILE_SLOTS_MAX.bit_length() + 2)

    def __init__(self, *, rans: bool):
        self._rans = rans
        self._row_max, self._tile_max = (
            (ROW_SLOTS_MAX, TILE_SLOTS_MAX) if rans else (TILE_BLOCKS_MAX, TILE_BLOCKS_MAX)
        )
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "known": Out(1),
            "fits": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head = self.head
        bits = self._tile_max.bit_length()
        position = blocks_per_pixel(head)
        cols, rows = head.tile_cols, head.tile_rows
        if self._rans:
            position = (position * planes_of(head))[:_SIDE_BITS]
            wide = spatial(head)
            cols, rows = (Mux(wide, side[1:] + side[0], side) for side in (cols, rows))
        position, cols, rows = (register(m, value) for value in (position, cols, rows))
        whole = head.channels.any() & head.height.any() & head.width.any() & cols.any() & rows.any()

        # What is counted times the bits of a side; none of the two may leave its bits.
        addend, over = Signal(bits), Signal()
        factor, total = Signal(_SIDE_BITS), Signal(bits + 1)
        final = Signal()  # the rows of the tile, and not its columns
        limit = Mux(final, self._tile_max, self._row_max)
        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.sync += self.known.eq(0)
                m.next = "position"
            with m.State("position"):
                m.next = "begin"
            with m.State("begin"):
                most = POSITION_SLOTS_MAX if self._rans else TILE_BLOCKS_MAX
                m.d.sync += [
                    addend.eq(position), over.eq(0), factor.eq(cols), total.eq(0), final.eq(0),
                    self.fits.eq(whole & (position <= most)),
                ]  # fmt: skip
                m.next = "multiply"
            with m.State("multiply"):
                m.d.sync += [
                    factor.eq(factor >> 1),
                    addend.eq(addend << 1),
                    over.eq(over | addend[-1]),
                ]
                with m.If(factor[0]):
                    m.d.sync += total.eq(total + addend)
                with m.If((factor[0] & over) | (total > limit)):
                    m.d.sync += self.fits.eq(0)
                with m.If((factor == 0) | ~self.fits):
                    m.next = "side"
            with m.State("side"):
                m.d.sync += [
                    addend.eq(total),
                    over.eq(0),
                    factor.eq(rows),
                    total.eq(0),
                    final.eq(1),
                ]
                m.next = "multiply"
                with m.If(final | ~self.fits):
                    m.d.sync += self.known.eq(1)
                    m.next = "idle"
        return m
