"""The virtual board itself: its program, its port, and that its short cuts change nothing."""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import serial
from tests.board_bench import Checker, case_of, check_sums
from tests.codec_bench import random_case

from fmzip.device import Device
from fmzip.errors import LinkError, ToolError
from fmzip.format import Coder, FrameConfig
from fmzip.reference import decode, encode
from fmzip.regs import Replay
from fmzip.sdram import PARTS
from fmzip_sim.vboard import build as builder
from fmzip_sim.vboard.chip import chip_header
from fmzip_sim.vboard.protocol_vboard import Serial

pytestmark = pytest.mark.xdist_group("vboard")


# What does not depend on when the memory refreshes, which it does in its own time.
STEADY = (
    "write_requests", "read_requests", "write_bytes", "read_bytes", "encoder_beats",
    "decoder_beats", "codec_bits_in", "codec_bits_out",
)  # fmt: skip


# The compiler takes many minutes for the two phases of the whole board.
@pytest.mark.parametrize("lanes", [2, pytest.param(8, marks=pytest.mark.soak)])
def test_the_specialised_program_equals_the_official_two_phases_but_for_refreshes(
    lanes: int,
) -> None:
    cases = [random_case(4000 + seed, blocks=200) for seed in range(12)]
    # Several tiles in work at once, and several pieces.
    config = FrameConfig(24, 40, 150, tile_cols=150, coder=Coder.BITMAP, zero_bitmap=True)
    cases += [case_of(config, "mixed")]
    with (
        Device(f"vboard:?lanes={lanes}") as fast,
        Device(f"vboard:?lanes={lanes}&twophase=1") as slow,
    ):
        checkers = Checker(fast), Checker(slow)
        for case in cases:
            for first, second in zip(*(checker.check(case) for checker in checkers), strict=True):
                assert [first[name] for name in STEADY] == [second[name] for name in STEADY], case
                # Rows that a refresh has closed are opened again; one refresh is in 780 cycles.
                slack = 40 + first["cycles"] // 100
                assert abs(first["cycles"] - second["cycles"]) <= slack, case


def test_the_counters_are_what_the_chip_counts_itself() -> None:
    with Device() as device:
        for case in (
            case_of(FrameConfig(64, 60, 56, tile_cols=56, coder=Coder.BITMAP, step=1500), "blob"),
            case_of(FrameConfig(8, 32, 32, burst_log2=3), "mixed"),
        ):
            device.write_memory(1 << 20, bytes(64))  # what is not to be counted
            device.encode(case.values, case.config)
            device.decode(case.config)
            device.read_memory(1 << 20, 64)
        counters = device.counters()
        port = device._port.serial
    found = port.last_words.partition(" counted: ")[2].split()
    chip = dict(zip(found[::2], map(int, found[1::2]), strict=True))
    assert len(chip) == 14
    assert {name: counters[name] for name in chip} == chip
    assert min(chip[name] for name in ("act", "rd", "wr", "dq_read_toggles", "ref")) > 0
    check_sums(counters)


def test_replays_put_out_what_the_reference_says_at_the_memorys_speed() -> None:
    config = FrameConfig(64, 32, 64, tile_cols=64, coder=Coder.BITMAP, zero_bitmap=True, step=1500)
    values = case_of(config, "blob").values
    frame = encode(values, config)
    passes = 3
    with Device() as device:
        beats = device.stage(values, config)
        assert beats == device.stage_beats
        check = {Replay.RAW: values, Replay.CODED: decode(frame), Replay.CODEC: decode(frame)}
        size = {Replay.RAW: values.size, Replay.CODED: len(frame), Replay.CODEC: 0}
        seen = {}
        for kind, expected in check.items():
            counters = seen[kind] = device.replay(kind, beats, passes)
            assert counters.pop("check") == device.check_of(expected, config), kind
            assert counters["write_bytes"] == counters["read_bytes"] == passes * size[kind]
            assert 2 * counters["wr"] == 2 * counters["rd"] == passes * size[kind]
            check_sums(counters)
        with pytest.raises(ValueError, match="passes must be 1 to 16777215, not 0"):
            device.replay(Replay.RAW, beats, 0)
        with pytest.raises(ValueError, match=r"a map of \d+ beats, the stage holds 16384"):
            device.stage(*larger())
    raw, codec = seen[Replay.RAW], seen[Replay.CODEC]
    # Whole rows, with refresh on.
    assert raw["wr"] + raw["rd"] >= 0.92 * raw["cycles"]
    assert raw["ref"] > 0
    # A beat per cycle, but for the latency of a tile.
    assert codec["cycles"] <= 1.2 * passes * beats


def larger() -> tuple[np.ndarray, FrameConfig]:
    return np.zeros((64, 33, 64), np.uint8), FrameConfig(64, 33, 64, tile_cols=64)


# A board is a minute of the compiler; there is one of two lanes already.
@pytest.mark.parametrize("lanes", [2, pytest.param(4, marks=pytest.mark.soak)])
def test_boards_of_two_and_four_lanes_do_what_is_predicted(lanes: int) -> None:
    with Device(f"vboard:?lanes={lanes}") as device:
        assert device.lanes == lanes
        checker = Checker(device)
        for seed in range(40):
            checker.check(random_case(5000 + seed, blocks=150), 1024 * seed)
        # More beats than the stage holds, with a ragged last block.
        config = FrameConfig(11, 60, 56, tile_cols=56, coder=Coder.BITMAP, step=1500)
        checker.check(case_of(config, "blob"))


# The port ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("vboard:?lanes=3", "lanes must be one of 2, 4, 8, not '3'"),
        ("vboard:?lanes=", "lanes must be one of 2, 4, 8, not ''"),
        ("vboard:?part=DDR9", "part must be one of AS4C32M16SB-7, .*, not 'DDR9'"),
        ("vboard://?twophase=yes", "twophase must be one of 0, 1, not 'yes'"),
        ("vboard:?speed=9", "has no option 'speed', only lanes, part, serial, twophase"),
    ],
)
def test_options_that_are_not_known_are_refused(url: str, message: str) -> None:
    with pytest.raises(LinkError, match=message):
        Device(url)


def test_the_port_does_what_pyserial_promises() -> None:
    with Device():
        pass  # so that pyserial knows the scheme
    port = serial.serial_for_url("vboard://", timeout=0.05)
    assert isinstance(port, Serial)
    with pytest.raises(serial.SerialException, match="already open"):
        port.open()
    begin = time.monotonic()
    assert port.read(5) == b""
    assert 0.05 <= time.monotonic() - begin < 0.5
    assert port.in_waiting == 0
    port.timeout = 0
    assert port.read(1) == b""
    assert port.write(b"\x00\x01\x00") == 3
    port.flush()
    port.reset_output_buffer()
    port.reset_input_buffer()
    assert port.fileno() >= 0
    port.close()
    port.close()
    with pytest.raises(serial.PortNotOpenError):
        port.read(1)
    with pytest.raises(serial.PortNotOpenError):
        port.write(b"x")
    assert port.last_words.startswith("cycles ")


def test_a_closed_port_leaves_no_process_and_no_descriptor_behind() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        device = Device()
        process = device._port.serial._process  # type: ignore[attr-defined]
        device.close()
        assert process.returncode == 0
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_board_that_waits_for_the_host_uses_no_processor_time() -> None:
    with Device() as device:
        stat = Path(f"/proc/{device._port.serial._process.pid}/stat")  # type: ignore[attr-defined]

        def ticks() -> int:
            return sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13]))

        time.sleep(0.2)
        before = ticks()
        time.sleep(0.5)
        assert ticks() - before <= 1
        assert device.counters()["cycles"] == 0


@pytest.mark.soak  # compiles a board of its own
def test_a_violation_of_the_chips_datasheet_ends_the_run_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, empty: Path
) -> None:
    # A chip that is slower than the controller believes.
    slow = replace(PARTS[builder.PART], rcd_ns=40)
    monkeypatch.setattr(builder, "chip_header", lambda _, clock_hz: chip_header(slow, clock_hz))
    with Device() as device:
        reason = r"the virtual board ended: SDRAM .*: tRCD: cycle \d+, bank 0: after 2 cycles"
        with pytest.raises(LinkError, match=reason):
            device.read_memory(0, 8)


# The program -------------------------------------------------------------------------------------


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A build directory with nothing in it."""
    monkeypatch.setenv("FMZIP_BUILD", str(tmp_path))
    return tmp_path


def _programs(directory: Path) -> list[str]:
    return [p.name for p in directory.rglob("*") if p.name.startswith("board")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CXX", "^CXX: /nonexistent not found, it compiles the virtual board$"),
        ("PATH", r"^g\+\+ not found, it compiles the virtual board: apt-get install g\+\+$"),
    ],
)
def test_a_missing_compiler_is_one_line_and_nothing_is_begun(
    monkeypatch: pytest.MonkeyPatch, empty: Path, name: str, message: str
) -> None:
    monkeypatch.setenv(name, "/nonexistent")
    with pytest.raises(ToolError, match=message) as it:
        Device()
    assert str(it.value).isprintable()
    assert list(empty.iterdir()) == []


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateware and Yosys are left out: what they would give is not needed."""
    monkeypatch.setattr(builder, "Soc", lambda **_: None)
    monkeypatch.setattr(builder, "Uart", lambda _: None)
    monkeypatch.setattr(builder, "PlainPorts", lambda _: None)
    monkeypatch.setattr(builder.rtlil, "convert", lambda *_, **__: "")
    monkeypatch.setattr(builder, "specialise", lambda *given: given[:2])

    def yosys(script: str, directory: Path) -> None:
        (directory / "soc.cc").write_text("")
        (directory / "soc.h").write_text("")

    monkeypatch.setattr(builder, "run_yosys", yosys)


def _compiler(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_compiler_that_fails_is_one_line_and_the_next_one_may_succeed(
    monkeypatch: pytest.MonkeyPatch, empty: Path, quick: None
) -> None:
    broken = _compiler(empty / "broken", "echo half > board.part; echo 'x: error: y' >&2; exit 3")
    monkeypatch.setenv("CXX", broken)
    with pytest.raises(ToolError, match=r"broken failed \(3\): x: error: y$"):
        builder.build()
    assert "board" not in _programs(empty)
    monkeypatch.setenv("CXX", _compiler(empty / "good", "echo whole > board.part"))
    assert builder.build().read_text() == "whole\n"
    monkeypatch.setenv("CXX", broken)
    assert builder.build().read_text() == "whole\n"  # from before


def test_a_compiler_that_hangs_is_one_line(
    monkeypatch: pytest.MonkeyPatch, empty: Path, quick: None
) -> None:
    monkeypatch.setattr(builder, "COMPILE_TIMEOUT_S", 0.1)
    monkeypatch.setenv("CXX", _compiler(empty / "slow", "exec sleep 60"))
    with pytest.raises(ToolError, match=r"slow: no result after 0\.1 s"):
        builder.build()
    assert "board" not in _programs(empty)
