"""ECPIX-5 (LambdaConcept): ECP5 85F, DDR3, FT2232H on USB."""

from amaranth.build import Attrs, Pins, Resource
from amaranth_boards.ecpix5 import ECPIX585Platform

from fmzip_boards.board import Board, with_resources

_MARKER = Resource("marker", 0, Pins("1", dir="o", conn=("pmod", 0)), Attrs(IO_TYPE="LVCMOS33"))

BOARDS = (
    Board(
        name="ecpix5-85f",
        title="ECPIX-5 85F",
        platform=lambda: with_resources(ECPIX585Platform(), _MARKER),
        clock_hz=100_000_000,
        loader=("-b", "ecpix5"),
        usb=(0x0403, 0x6010),
        memory_log2=17,
        note="Its DDR3 is not supported yet: the memory is block RAM. Marker: PMOD 0, pin 1.",
    ),
)
