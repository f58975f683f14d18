"""The virtual board leaves out what does not change: its grouping, and that no pin shows it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.board_bench import case_of
from tests.codec_bench import random_case
from tests.rans_cases import fitting_tables, map_of, rans_config

from fmzip.device import Device
from fmzip.errors import ToolError
from fmzip.format import Coder, FrameConfig, Transform
from fmzip.regs import Replay
from fmzip.tables import Coding, Diffusion
from fmzip_sim.vboard import build as builder
from fmzip_sim.vboard import protocol_vboard
from fmzip_sim.vboard.clusters import clusters
from fmzip_sim.vboard.specialise import specialise
from fmzip_sim.vboard.statements import instances, parse


def session(device: Device) -> None:
    """All parts of the system, each after it has slept."""
    blocks = [random_case(9000 + seed, blocks=60) for seed in range(4)]
    blocks.append(case_of(FrameConfig(24, 20, 30, tile_cols=30, coder=Coder.BITMAP), "mixed"))
    for case in blocks:
        device.encode(case.values, case.config)
        device.decode(case.config)
    weights = {Transform.BYPASS: (7, 5, 1), Transform.WHT4: ()}
    for transform, shape in ((Transform.BYPASS, (64, 9, 10)), (Transform.WHT4, (16, 8, 9))):
        tables = fitting_tables(transform)
        config = rans_config(transform, *shape, tables=tables, tile_rows=4, tile_cols=9, step=90)
        coding = Coding(tables, Diffusion(100, *weights[transform]))
        device.encode(map_of(config, 1, 5), config, coding=coding)
        device.decode(config, tables=tables)
    device.write_memory(4096, bytes(range(256)) * 9)
    device.read_memory(4104, 600)
    beats = device.stage(blocks[-1].values, blocks[-1].config)
    for kind in Replay:
        device.replay(kind, beats, 3)
    device.counters(clear=True)


@pytest.mark.xdist_group("vboard")
@pytest.mark.parametrize("lanes", [2, pytest.param(8, marks=pytest.mark.soak)])
def test_every_pin_in_every_cycle_is_that_of_the_program_that_leaves_nothing_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lanes: int
) -> None:
    record = tmp_path / "record"
    start = subprocess.Popen

    def recording(command: list[Any], **given: Any) -> subprocess.Popen[bytes]:
        return start([*command, "--record", str(record)], **given)

    monkeypatch.setattr(protocol_vboard.subprocess, "Popen", recording)
    with Device(f"vboard:?lanes={lanes}") as device:
        session(device)
    monkeypatch.undo()

    def play(two_phase: bool, of: Path) -> tuple[str, str]:
        command = [builder.build(lanes, two_phase=two_phase), "--play", of, "--stats"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        words = done.stderr.split()
        return done.stdout, " ".join(words[:2] + words[6:])  # without the times

    pins, counted = play(False, record)
    assert (pins, counted) == play(True, record)
    assert int(counted.split()[1]) > 50_000
    # One more byte is seen.
    record.write_bytes(record.read_bytes()[:-16])
    assert play(False, record)[0] != pins


# Statements and groups.

STRUCT = """\
	wire<4> p_inner_2e_a_2e_count;
	wire<4> p_inner_2e_b_2e_held;
	memory<8> memory_p_inner_2e_ram { 16u };
	/*input*/ value<1> p_clk;
	/*input*/ value<4> p_i__x;
	/*output*/ value<4> p_o;
"""
BODY = """\
	bool converged = true;
	bool posedge_p_clk = this->posedge_p_clk();
	value<4> i_sum;
	value<1> i_more;
	// cell one
	i_more.concat(i_sum) = add_uu<5>(p_inner_2e_a_2e_count.curr, p_i__x);
	// cell two
	if (posedge_p_clk) {
		p_inner_2e_a_2e_count.next = i_sum;
	}
	// cell three
	if (posedge_p_clk) {
		if (i_more == value<1> {1u}) {
			p_inner_2e_b_2e_held.next = i_sum;
		}
	}
	// memory write port 0
	if (posedge_p_clk) {
		auto tmp_0 = memory_index(p_inner_2e_b_2e_held.curr, 0, 16);
		if (tmp_0.valid) {
			memory_p_inner_2e_ram.update(tmp_0.index, value<8>{1u}, value<8>{255u}, 0);
		}
	}
	// memory write port 1
	if (posedge_p_clk) {
		auto tmp_1 = memory_index(p_inner_2e_a_2e_count.curr, 0, 16);
		if (tmp_1.valid) {
			memory_p_inner_2e_ram.update(tmp_1.index, value<8>{2u}, value<8>{255u}, 1);
		}
	}
	// connection
	p_o = p_inner_2e_b_2e_held.curr;
	return converged;
"""


def test_statements_say_what_they_read_and_write() -> None:
    design = parse(BODY, STRUCT)
    first, second, third, fourth, _, last = design.statements
    assert first.values == {"i_more", "i_sum"}
    assert first.reads == {"p_inner_2e_a_2e_count", "p_i__x"}
    assert (second.registers, second.reads) == ({"p_inner_2e_a_2e_count"}, {"i_sum"})
    assert third.reads == {"i_more", "i_sum"}
    assert third.path == ("inner", "b")
    assert (fourth.memories, fourth.registers) == ({"memory_p_inner_2e_ram"}, set())
    assert last.values == design.outputs == {"p_o"}
    assert design.widths == {"i_sum": 4, "i_more": 1}
    assert "posedge" not in "".join(s.text for s in design.statements)


def test_names_of_yosys_are_taken_apart() -> None:
    assert instances("p_inner_2e_path_2e_r__en") == ("inner", "path")
    assert instances("i_flatten_5c_inner_2e__5c_path_2e__5c_reader_2e__24_12") == (
        "inner", "path", "reader",
    )  # fmt: skip


@pytest.mark.parametrize("size", [1, 8, 1000])
def test_groups_read_nothing_of_later_ones_and_writers_of_a_memory_stay_together(size: int) -> None:
    design = parse(BODY, STRUCT)
    groups = clusters(design, size)
    assert sorted(k for numbers in groups for k in numbers) == list(range(6))
    place = {k: group for group, numbers in enumerate(groups) for k in numbers}
    assert place[0] <= min(place[1], place[2])
    assert place[3] == place[4]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("p_i__x);", "i_late);", "reads i_late before it is assigned"),
        ("p_o = p", "i_sum = p", "assigns i_sum twice"),
        ("held.next = i_sum", "held.next = p_inner_2e_a_2e_count.next", "reads .*count.next"),
        ("	bool converged = true;\n", "", "yosys begins an evaluation with"),
    ],
)
def test_code_that_is_not_as_expected_is_refused(old: str, new: str, message: str) -> None:
    assert old in BODY
    with pytest.raises(ToolError, match=message):
        parse(BODY.replace(old, new), STRUCT)


def test_code_without_the_module_is_refused() -> None:
    with pytest.raises(ToolError, match="yosys wrote no flat module soc"):
        specialise("", "struct p_soc : public module {\n};\n", "soc")
