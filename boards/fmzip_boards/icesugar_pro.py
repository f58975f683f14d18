"""iCESugar-Pro (MuseLab): ECP5 25F, 32 MiB of SDR SDRAM, a debugger with a serial port."""

from amaranth.build import Attrs, Pins, Resource
from amaranth_boards.icesugar_pro import ICESugarProPlatform

from fmzip_boards.board import Board, with_resources

_MARKER = Resource("marker", 0, Pins("41", dir="o", conn=("sodimm", 0)), Attrs(IO_TYPE="LVCMOS33"))

BOARDS = (
    Board(
        name="icesugar-pro",
        title="iCESugar-Pro",
        platform=lambda: with_resources(ICESugarProPlatform(), _MARKER),
        clock_hz=100_000_000,
        loader=("-c", "cmsisdap"),
        usb=(0x1D50, 0x602B),
        lanes=4,  # as on the ULX3S with this die
        stage_log2=11,
        sdram="IS42S16160B-7",
        note="Marker: pin 41 of the edge connector.",
    ),
)
