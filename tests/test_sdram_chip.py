"""The chip model of the virtual board: what it says is what the one in Python says."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.sdram_bench import Ask, run_plan
from tests.test_hw_sdram import BUGS, random_plan, soon_up

from fmzip.errors import FmzipError
from fmzip.sdram import PARTS, SdramPart
from fmzip_hw.memport import ROW_WORDS
from fmzip_hw.sdram import SdramController
from fmzip_sim.sdram_model import Pins, SdramChip
from fmzip_sim.vboard.build import compile_cpp
from fmzip_sim.vboard.chip import chip_header
from fmzip_sim.vboard.soak import build_soak, run_soak

CLOCK_HZ = 133e6
NOP = Pins()


class Recorder(SdramChip):
    """Notes the pins and what it drives."""

    def __init__(self, part: SdramPart):
        super().__init__(part, CLOCK_HZ, strict=False)
        self.pins: list[Pins] = []
        self.driven: list[int | None] = []

    def step(self, pins: Pins, counted: bool = True) -> int | None:
        self.pins.append(pins)
        self.driven.append(super().step(pins, counted))
        return self.driven[-1]


def model(part: SdramPart, directory: Path) -> Path:
    """The C++ model as a program that takes pins."""
    (directory / "sdram_part.h").write_text(chip_header(part, CLOCK_HZ))
    shutil.copy(Path(__file__).with_name("sdram_pins.cc"), directory)
    compile_cpp(directory, "sdram_pins.cc", "chip")
    return directory / "chip"


def word(part: SdramPart, p: Pins) -> int:
    value, place = 0, 0
    for bit, size in (
        (p.cke, 1), (p.cs_n, 1), (p.ras_n, 1), (p.cas_n, 1), (p.we_n, 1), (p.dq_oe, 1), (p.dqm, 2),
        (p.ba, part.bank_bits), (p.a, part.row_bits), (p.dq, 16),
    ):  # fmt: skip
        value |= bit << place
        place += size
    return value


def replay(program: Path, part: SdramPart, pins: Sequence[Pins]) -> tuple[list[int], str]:
    """What is on DQ behind each cycle, and the line that ended the run."""
    data = np.array([word(part, p) for p in pins], np.uint64).tobytes()
    done = subprocess.run([program], input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == (2 if done.stderr else 0)
    return np.frombuffer(done.stdout, np.uint16).tolist(), done.stderr.decode()


def there_and_back(part: SdramPart, seed: int, requests: int = 40) -> list[Ask]:
    """All words that are read were written before; then the chip sleeps."""
    plan = [ask for ask in random_plan(part, seed, requests) if ask.data]
    back = [Ask(ask.address, words=len(ask.data), wait=ask.wait) for ask in plan]
    return [*plan, *back, replace(back[0], wait=1500)]


@pytest.mark.parametrize("name", ["IS42S16160B-7", "AS4C32M16SB-7"])
def test_both_models_drive_the_same_data_and_allow_the_same(name: str, tmp_path: Path) -> None:
    part = soon_up(name)
    chip = Recorder(part)
    run_plan(SdramController(part, CLOCK_HZ), chip, there_and_back(part, 1))
    assert chip.violations == []
    got, line = replay(model(part, tmp_path), part, chip.pins)
    assert line == ""
    assert got == [0xDEAD if dq is None else dq for dq in chip.driven]


@pytest.mark.parametrize("rule", BUGS)
def test_both_models_find_the_same_violation_in_the_same_cycle(rule: str, tmp_path: Path) -> None:
    of_part, of_cycles = BUGS[rule]
    part = replace(soon_up("MT48LC16M16A2-7E"), **of_part)
    wrong = replace(part.cycles(CLOCK_HZ, 3), **of_cycles)
    chip = Recorder(part)
    plan = random_plan(part, seed=4, requests=60)
    plan += [Ask(ROW_WORDS * k, words=1) for k in range(8)]
    run_plan(SdramController(part, CLOCK_HZ, cycles=wrong), chip, plan)
    assert f": {rule}: cycle " in chip.violations[0]
    _, line = replay(model(part, tmp_path), part, chip.pins)
    place = chip.violations[0].split(": ", 3)[:3]
    assert line.split(": ", 3)[:3] == place


def _nops(cycles: int) -> list[Pins]:
    return [NOP] * cycles


def _command(command: str, **other: int) -> Pins:
    code = ("MRS", "REF", "PRE", "ACT", "WR", "RD", "BST", "NOP").index(command)
    return Pins(ras_n=code >> 2, cas_n=code >> 1 & 1, we_n=code & 1, **other)


def _powered_up() -> list[Pins]:
    pins = [*_nops(140), _command("PRE", a=1 << 10)]
    for _ in range(8):
        pins += [*_nops(12), _command("REF")]
    return [*pins, *_nops(12), _command("MRS", a=0x30), *_nops(4)]


OPEN = [_command("ACT", a=5), *_nops(8)]
WRITE = _command("WR", a=3, dq=0x1234, dq_oe=1)
# What no controller of ours does: pins behind the power-up, and the rule that ends it.
MISUSES: dict[str, tuple[list[Pins], str]] = {
    "closed bank": ([_command("RD")], "bank state"),
    "open bank": ([*OPEN, _command("ACT", a=6)], "bank state"),
    "refresh with an open bank": ([*OPEN, _command("REF")], "bank state"),
    "auto-precharge": ([*OPEN, _command("RD", a=1 << 10)], "auto-precharge"),
    "no data": ([*OPEN, _command("WR")], "data bus"),
    "self refresh": ([_command("REF", cke=0)], "CKE"),
    "clock suspend": ([*OPEN, _command("RD"), Pins(cke=0)], "CKE"),
    "asleep within tWR": ([*OPEN, WRITE, Pins(cke=0)], "tWR"),
    "awake at once": ([Pins(cke=0), _command("ACT")], "tXP"),
    "another burst": ([_command("MRS", a=0x33)], "mode"),
    "no such CAS latency": ([_command("MRS", a=0x10)], "mode"),
    "no refresh": (_nops(10_000), "refresh"),
    "burst stop": ([_command("BST")], "burst"),
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(_misused(), tmp_path_factory.mktemp("chip"))


def _misused() -> SdramPart:
    return soon_up("MT48LC16M16A2-7E")


@pytest.mark.parametrize("what", MISUSES)
def test_misuse_ends_the_run_with_the_rule(program: Path, what: str) -> None:
    pins, rule = MISUSES[what]
    part = _misused()
    _, line = replay(program, part, [*_powered_up(), *pins])
    assert line.startswith(f"SDRAM {part.name}: {rule}: cycle "), line
    if what == "no data":
        assert ", bank 0: " in line


def test_power_up_in_another_order_ends_the_run(program: Path) -> None:
    part = _misused()
    up = _powered_up()
    for pins, what in (
        ([*_nops(10), _command("PRE", a=1 << 10)], "PRE too early"),
        ([*_nops(140), _command("REF")], "REF before all banks were precharged"),
        ([*_nops(140), _command("PRE")], "PRE before all banks were precharged"),
        (
            [*up[: 141 + 13 * 4], *_nops(12), _command("MRS", a=0x30), *_nops(9), _command("ACT")],
            "ACT before MRS and 8",
        ),
    ):
        _, line = replay(program, part, pins)
        assert f": power-up: cycle {len(pins) - 1}" in line, line
        assert what in line, line


def test_a_row_that_stays_open_for_too_long_ends_the_run(tmp_path: Path) -> None:
    part = replace(_misused(), refresh_window_ns=640e6)
    limit = int(part.ras_max_ns * 1e-9 * CLOCK_HZ)
    program = model(part, tmp_path)
    pins = [*_powered_up(), *OPEN]
    close = [_command("PRE"), *_nops(3)]
    assert replay(program, part, [*pins, *_nops(limit - 20), *close])[1] == ""
    _, line = replay(program, part, [*pins, *_nops(limit + 20), *close])
    assert ": tRAS max: cycle" in line


@pytest.mark.parametrize(("opened", "kept"), [(102_370, True), (102_450, False)])
def test_a_row_that_is_not_refreshed_within_the_window_has_lost_its_data(
    opened: int, kept: bool, tmp_path: Path
) -> None:
    # Refreshes every 50 cycles, all as late as is allowed: row 5's comes behind the window's end.
    rows, interval = 2048, 50
    window_ns = (rows * interval + 0.5) / CLOCK_HZ * 1e9
    part = replace(_misused(), row_bits=11, refresh_window_ns=window_ns)
    pins = [*_powered_up(), *OPEN, WRITE, *_nops(3), _command("PRE"), *_nops(3)]
    start = len(_powered_up()) - 5  # the MRS
    for k in range(opened // interval - 8):
        at = start + interval * (k + 9) - 10
        pins += [*_nops(at - len(pins)), _command("REF")]
    pins += [*_nops(start + opened - len(pins)), *OPEN, _command("RD", a=3), *_nops(3)]
    seen, line = replay(model(part, tmp_path), part, pins)
    assert line == ""
    assert (seen[-2] == 0x1234) == kept


def test_random_traffic_of_a_compiled_controller_reads_back() -> None:
    part = PARTS["IS42S16160B-7"]
    done = run_soak(build_soak(part, 100e6), 300_000)
    assert done["cycles"] == 300_000
    assert min(done["reads"], done["writes"], done["asleep"]) > 10_000
    assert done["checked"] > done["reads"] // 4


def test_a_compiled_controller_that_breaks_a_rule_ends_the_run() -> None:
    part = replace(PARTS["IS42S16160B-7"], rcd_ns=30)
    wrong = replace(part.cycles(CLOCK_HZ, 3), rcd=2)
    with pytest.raises(FmzipError, match=r"^SDRAM IS42S16160B-7: tRCD: cycle \d+, bank \d: after"):
        run_soak(build_soak(part, CLOCK_HZ, cycles=wrong), 100_000)


def _corners() -> Iterator[tuple[str, float, int]]:
    for name, part in PARTS.items():
        for cas, period_ns in part.clock_min_ns.items():
            yield name, 1e9 / period_ns, cas


@pytest.mark.soak
@pytest.mark.parametrize(("name", "clock_hz", "cas"), [*_corners()])
def test_ten_million_cycles_of_random_traffic_pass_without_a_violation(
    name: str, clock_hz: float, cas: int
) -> None:
    done = run_soak(build_soak(PARTS[name], clock_hz, cas), 10_000_000, seed=2)
    assert min(done["reads"], done["writes"], done["asleep"]) > 500_000
