"""The top of a bitstream: clock, pads, and the system between them."""

from fractions import Fraction
from typing import Any

from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.lib import io, wiring

from fmzip.port import BAUD
from fmzip.sdram import PARTS
from fmzip_boards.board import Board
from fmzip_boards.pll import Ecp5Pll
from fmzip_boards.sdrampads import READ_DELAY, ChipClock, SdramPads
from fmzip_hw.blockmemory import BlockMemory
from fmzip_hw.soc import Soc
from fmzip_hw.uart import Uart


class Top(Elaboratable):
    """All of a bitstream for a board.

    Parameters
    ----------
    board : what to build
    build : 32 bits that name the build
    """

    def __init__(self, board: Board, build: int = 0):
        self._board, self._build = board, build

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        board = self._board
        input_hz = round(platform.default_clk_frequency)
        if input_hz != board.clock_hz:
            m.submodules.clk = clk = io.Buffer("i", platform.request(platform.default_clk, dir="-"))
            m.domains.sync = ClockDomain(reset_less=True)
            m.submodules.pll = pll = Ecp5Pll(input_hz, board.clock_hz)
            m.d.comb += pll.clk.eq(clk.i)
        part = None if board.sdram is None else PARTS[board.sdram]
        m.submodules.soc = soc = Soc(
            lanes=board.lanes,
            clock_hz=board.clock_hz,
            stage_log2=board.stage_log2,
            part=part,
            read_delay=READ_DELAY,
            memory_log2=board.memory_log2,
            ring_blocks=board.ring_blocks,
            build=self._build,
            rans=board.rans,
            ring_slots=board.ring_slots,
            projection=board.projection,
            planes=board.planes,
        )
        if part is None:
            m.submodules.memory = memory = BlockMemory(board.memory_log2)
            wiring.connect(m, soc.memory, memory.port)
        else:
            port = platform.request("sdram", 0, dir="-")
            m.submodules.chip_clock = ChipClock(port.clk)
            m.submodules.pads = pads = SdramPads(part, port)
            wiring.connect(m, soc.sdram, pads.pins)
        m.submodules.uart = uart = Uart(Fraction(board.clock_hz, BAUD))
        wiring.connect(m, uart.o, soc.rx)
        wiring.connect(m, soc.tx, uart.i)
        pins = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", pins.rx)
        m.submodules.tx = tx = io.Buffer("o", pins.tx)
        m.submodules.marker = marker = io.FFBuffer("o", platform.request("marker", dir="-"))
        m.d.comb += [uart.rx.eq(rx.i), tx.o.eq(uart.tx), marker.o.eq(soc.marker)]
        return m
