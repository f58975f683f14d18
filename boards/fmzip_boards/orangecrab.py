"""OrangeCrab r0.2: ECP5 25F or 85F, DDR3, USB on the FPGA itself."""

from amaranth.build import Attrs, Pins, Resource
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform, OrangeCrabR0_2_85FPlatform
from amaranth_boards.resources import UARTResource

from fmzip_boards.board import Board, with_resources

# It has no serial port: an adapter of 3.3 V on the pins that its silk screen calls RX and TX.
_UART = UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33"))
_MARKER = Resource("marker", 0, Pins("5", dir="o", conn=("io", 0)), Attrs(IO_TYPE="LVCMOS33"))


def _board(size: str, platform: type, lanes: int, ring_blocks: int, memory_log2: int) -> Board:
    return Board(
        name=f"orangecrab-{size.lower()}",
        title=f"OrangeCrab r0.2 {size}",
        platform=lambda: with_resources(platform(), _UART, _MARKER),
        clock_hz=96_000_000,
        loader=("-b", "orangeCrab"),
        lanes=lanes,
        stage_log2=10,
        ring_blocks=ring_blocks,
        memory_log2=memory_log2,
        note="Its DDR3 is not supported yet: the memory is block RAM. The link is a serial adapter "
        "of 3.3 V on pins 0 (from the host) and 1. Marker: pin 5.",
    )


BOARDS = (
    _board("25F", OrangeCrabR0_2_25FPlatform, 4, 1024, 14),
    _board("85F", OrangeCrabR0_2_85FPlatform, 8, 2048, 17),
)
