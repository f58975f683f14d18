"""What a board is: its platform and how the gateware is built for it, as data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fmzip_hw.planesize import PlaneSize
from fmzip_hw.projectsize import ProjectionSize
from fmzip_hw.ransencode import RING_SLOTS


@dataclass(frozen=True)
class Board:
    """A board, and the gateware that is built for it.

    Members
    -------
    name : as the command line calls it
    title : as people call it
    platform : makes amaranth's platform, with the resources ``uart`` and ``marker``, and ``sdram``
        where there is a part
    clock_hz : of the gateware; by a PLL where the board's clock has another rate
    loader : options of openFPGALoader that select the board
    usb : vendor and product of the serial port that the link uses
    lanes : values per beat
    stage_log2, ring_blocks, rans, ring_slots, projection, planes : see ``fmzip_hw.soc.Soc``
    sdram : part behind the memory port, one of ``fmzip.sdram.PARTS``; None for block RAM
    memory_log2 : log2 of the bytes of block RAM, where there is no SDRAM
    note : what a user should know
    """

    name: str
    title: str
    platform: Callable[[], Any]
    clock_hz: int
    loader: tuple[str, ...]
    usb: tuple[int, int] | None = None
    lanes: int = 8
    stage_log2: int = 12
    ring_blocks: int = 2048
    rans: bool = False
    ring_slots: int = RING_SLOTS
    projection: ProjectionSize | None = None
    planes: PlaneSize | None = None
    sdram: str | None = None
    memory_log2: int = 0
    note: str = ""


def with_resources(platform: Any, *resources: Any) -> Any:
    """The platform, with what its definition lacks."""
    platform.add_resources(resources)
    return platform
