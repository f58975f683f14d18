"""The coder ``rans`` in plain Python, from section 10 of ``docs/format.md``, for its gateware."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Value

from fmzip.format import HEAD, STATIC_BYTES, ceil_div
from fmzip_hw.slots import BYPASS, NIBBLES, WHT4


@dataclass(frozen=True)
class Shape:
    """Of a feature map, and what of its configuration matters for the order of its slots.

    Parameters
    ----------
    transform : BYPASS, NIBBLES or WHT4
    channels, height, width : of the map
    tile_rows, tile_cols : in pixels; 0: all of the map
    unipolar : no value lies below the zero point
    """

    transform: int
    channels: int
    height: int
    width: int
    tile_rows: int = 0
    tile_cols: int = 0
    unipolar: bool = True
    burst_log2: int = 5

    @property
    def groups(self) -> int:
        return ceil_div(self.channels, 8)

    @property
    def planes(self) -> int:
        return {BYPASS: 1, NIBBLES: 2, WHT4: 4}[self.transform]

    def static_head(self) -> int:
        """The head's fields that are constant, as a number."""
        given = {
            "dtype": 0,
            "zero_point": 0 if self.unipolar else 128,
            "burst_log2": self.burst_log2,
            "channels": self.channels,
            "height": self.height,
            "width": self.width,
            "tile_rows": self.tile_rows or self.height,
            "tile_cols": self.tile_cols or self.width,
            "transform": self.transform,
        }
        fields = [f for f in HEAD if f.offset < STATIC_BYTES]
        return sum(given.get(f.name, 0) << 8 * f.offset for f in fields)


def tiles_of(shape: Shape) -> Iterator[tuple[int, int]]:
    """Rows and columns of each tile, in positions."""
    side = 2 if shape.transform == WHT4 else 1
    tile_rows, tile_cols = shape.tile_rows or shape.height, shape.tile_cols or shape.width
    for row in range(0, shape.height, tile_rows):
        for col in range(0, shape.width, tile_cols):
            rows = min(tile_rows, shape.height - row)
            cols = min(tile_cols, shape.width - col)
            yield ceil_div(rows, side), ceil_div(cols, side)


async def begin(ctx: Any, dut: Any, shape: Shape) -> None:
    """Start a frame."""
    ctx.set(Value.cast(dut.head), shape.static_head())
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
