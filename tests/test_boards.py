"""Boards: clocks, pads, and tops, without the tools, which take minutes."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib import io, wiring
from tests.sdram_bench import STATUS, Ask, expected, run_plan

from fmzip.sdram import PARTS
from fmzip_boards import pll, tools
from fmzip_boards.catalogue import BOARDS, board_of
from fmzip_boards.sdrampads import READ_DELAY, SdramPads
from fmzip_boards.top import Top
from fmzip_hw.sdram import SdramController
from fmzip_sim import emit
from fmzip_sim.sdram_model import SdramChip

PART = replace(PARTS["IS42S16160G-7"], power_up_ns=1000)  # not to wait for it

# Clocks.


@pytest.mark.parametrize(
    ("input_mhz", "output_mhz"), [(25, 100), (50, 100), (48, 96), (25, 125), (25, 110), (12, 60)]
)
def test_pll_settings_are_those_of_ecppll(input_mhz: int, output_mhz: int) -> None:
    directory = emit.build_root() / "pll"
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{input_mhz}-{output_mhz}.v"
    options = ["-i", str(input_mhz), "-o", str(output_mhz), "-f", name]
    tools.run("yowasp-ecppll", options, directory, "ecppll.log")
    text = (directory / name).read_text()
    theirs = {k: int(v) for k, v in re.findall(r"\.(CLK\w+_DIV|CLKOP_CPHASE)\((\d+)\)", text)}
    ours = pll.settings(input_mhz * 10**6, output_mhz * 10**6)
    assert theirs["CLKI_DIV"] == ours.reference
    assert theirs["CLKFB_DIV"] == ours.feedback
    assert theirs["CLKOP_DIV"] == ours.output
    assert theirs["CLKOP_CPHASE"] == ours.phase


def test_a_clock_that_no_pll_setting_makes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no PLL setting makes 100\.1 MHz of 25 MHz"):
        pll.settings(25_000_000, 100_100_000)


# Pads.


class Padded(Elaboratable):
    """A controller behind pads, with the chip's side of the pads as its ``pins``."""

    def __init__(self, read_delay: int):
        self.controller = SdramController(PART, 100e6, read_delay=read_delay)
        outputs = {"clk_en": 1, "ba": PART.bank_bits, "a": PART.row_bits, "dqm": 2}
        ports = {name: io.SimulationPort("o", size) for name, size in outputs.items()}
        ports |= {
            name: io.SimulationPort("o", 1, invert=True) for name in ("cs", "ras", "cas", "we")
        }
        ports["dq"] = io.SimulationPort("io", 16)
        self.pads = SdramPads(PART, SimpleNamespace(**ports))
        self.port = self.controller.port
        for name in STATUS:
            setattr(self, name, getattr(self.controller, name))
        self.pins = SimpleNamespace(
            cke=ports["clk_en"].o, cs_n=ports["cs"].o, ras_n=ports["ras"].o,
            cas_n=ports["cas"].o, we_n=ports["we"].o, ba=ports["ba"].o, a=ports["a"].o,
            dqm=ports["dqm"].o, dq_o=ports["dq"].o, dq_oe=ports["dq"].oe[0], dq_i=ports["dq"].i,
        )  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.controller, m.submodules.pads = self.controller, self.pads
        wiring.connect(m, self.controller.pins, self.pads.pins)
        return m


PLAN = [
    Ask(8, data=tuple(range(100, 140))),
    Ask(8, words=40),
    Ask(5000, data=(1, 2, 3)),
    Ask(8, words=7),
    Ask(5000, words=3),
]


def test_words_go_through_the_pads_of_a_chip_and_come_back() -> None:
    dut = Padded(READ_DELAY)
    chip = SdramChip(PART, 100e6, strict=False)
    seen = run_plan(dut, chip, PLAN)
    assert seen.read == expected(PLAN)
    # The pads' registers hold zeros in the first cycle: a chip that powers up does not mind.
    assert [line for line in chip.violations if ": cycle 0: " not in line] == []


@pytest.mark.parametrize("read_delay", [READ_DELAY - 1, READ_DELAY + 1])
def test_with_another_read_delay_the_words_are_wrong(read_delay: int) -> None:
    chip = SdramChip(PART, 100e6, strict=False)
    assert run_plan(Padded(read_delay), chip, PLAN).read != expected(PLAN)


# Tops.


def test_boards_have_names_and_fit_their_parts() -> None:
    for name, board in BOARDS.items():
        assert board_of(name) is board
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert (board.sdram is None) == (board.memory_log2 > 0)
        assert board.sdram is None or board.sdram in PARTS
    with pytest.raises(ValueError, match=r"board must be one of ulx3s-85f, .*, not 'arty'"):
        board_of("arty")


@pytest.mark.parametrize("name", ["ulx3s-85f", "orangecrab-25f"])
def test_a_top_elaborates_with_its_pins_in_the_constraints(name: str) -> None:
    board = board_of(name)
    platform = board.platform()
    plan = platform.prepare(Top(board), "top")
    pins = plan.files["top.lpf"]
    netlist = plan.files["top.il"]
    pins, netlist = (t.decode() if isinstance(t, bytes) else t for t in (pins, netlist))
    assert "uart_0__rx__io" in pins
    assert "marker_0__io" in pins
    assert netlist.count("cell \\EHXPLLL") == 1
    if board.sdram is None:
        assert "sdram" not in pins
    else:
        assert pins.count('LOCATE COMP "sdram_0__dq__io') == 16
        # All pins of the chip have their registers in the pads, outputs and enables of DQ too.
        assert netlist.count("cell \\OFS1P3DX") >= 2 * 16 + 13 + 2 + 2 + 5
        assert netlist.count("cell \\IFS1P3DX") == 16
        assert netlist.count("cell \\ODDRX1F") == 1
