"""Icepi Zero 1.3: ECP5 25F in the form of a Raspberry Pi Zero, 32 MiB of SDR SDRAM, FT231X."""

from amaranth.build import Attrs, Pins, Resource
from amaranth_boards.icepi_zero import IcepiZero1_3Platform

from fmzip_boards.board import Board, with_resources

_MARKER = Resource("marker", 0, Pins("4", dir="o", conn=("gpio", 0)), Attrs(IO_TYPE="LVCMOS33"))

BOARDS = (
    Board(
        name="icepi-zero",
        title="Icepi Zero",
        platform=lambda: with_resources(IcepiZero1_3Platform(), _MARKER),
        clock_hz=100_000_000,
        loader=("-b", "icepi-zero"),
        usb=(0x0403, 0x6015),
        lanes=4,  # as on the ULX3S with this die
        stage_log2=11,
        # Which chip is on it is not known to us: the slowest timing of those that are.
        sdram="IS42S16160G-7",
        note="Marker: GPIO4.",
    ),
)
