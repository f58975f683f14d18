"""ULX3S (Radiona): ECP5 12F to 85F, SDR SDRAM of 32 MiB or more, FT231X on USB."""

from dataclasses import replace

from amaranth.build import Attrs, Pins, Resource
from amaranth_boards.ulx3s import ULX3S_12F_Platform, ULX3S_45F_Platform, ULX3S_85F_Platform

from fmzip_boards.board import Board, with_resources
from fmzip_hw.planesize import PlaneSize
from fmzip_hw.projectsize import ProjectionSize

# The chip differs between runs of the board. This one's timing is the slowest of those that are
# known, and of a chip with ten column bits half is used.
_SDRAM = "IS42S16160G-7"
_MARKER = Resource("marker", 0, Pins("0+", dir="o", conn=("gpio", 0)), Attrs(IO_TYPE="LVCMOS33"))


def _board(size: str, platform: type, lanes: int = 8, note: str = "") -> Board:
    return Board(
        name=f"ulx3s-{size.lower()}",
        title=f"ULX3S {size}",
        platform=lambda: with_resources(platform(), _MARKER),
        clock_hz=100_000_000,
        loader=("-b", "ulx3s"),
        usb=(0x0403, 0x6015),
        lanes=lanes,
        stage_log2=12 if lanes == 8 else 11,
        sdram=_SDRAM,
        note=f"Marker: GP0.{note}",
    )


_85F = _board("85F", ULX3S_85F_Platform)
BOARDS = (
    _85F,
    # The coders `huffman` and `rans` want more block RAM together than there is.
    replace(
        _85F,
        name="ulx3s-85f-fmz",
        title="ULX3S 85F, fmz",
        clock_hz=80_000_000,
        stage_log2=11,
        rans=True,
        ring_slots=4096,
        note="Marker: GP0. With the coder `rans`.",
    ),
    replace(
        _85F,
        name="ulx3s-85f-pcavlc",
        title="ULX3S 85F, pcavlc and cap",
        clock_hz=80_000_000,
        projection=ProjectionSize(multipliers=16),
        note="Marker: GP0. With the coder `huffman`.",
    ),
    replace(
        _85F,
        name="ulx3s-85f-gf2",
        title="ULX3S 85F, gf2",
        clock_hz=80_000_000,
        planes=PlaneSize(),
        note="Marker: GP0. With the coder `gf2`.",
    ),
    _board("45F", ULX3S_45F_Platform),
    # Eight lanes want 58 of its 56 block RAMs; four are twice as fast as the SDRAM.
    _board("12F", ULX3S_12F_Platform, 4, " nextpnr takes a 12F for the 25F that its die is."),
)
