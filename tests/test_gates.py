"""The gates that synthesis makes: the ECP5's cells as plain Amaranth, and the codec's benches."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Shape, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmzip.errors import ToolError
from fmzip_hw.adder import AND_NOT, OR, XOR, GatedAdder
from fmzip_hw.memory import BlockRam
from fmzip_hw.multiply import Multiplier
from fmzip_hw.pairedtable import PairedTable
from fmzip_sim import emit
from fmzip_sim.tb import cases, runner

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden" / "v1"
RANS_GOLDEN = ROOT / "tests" / "golden" / "v2"
PART = "LFE5U-85F"
SLOW_ROMS = ((9, 2048), (4, 4096))
SLOW_SHAPES = ((5, 4096), (2, 8192), (1, 16384), (2, 32768))


@pytest.fixture(autouse=True)
def _build_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMZIP_BUILD", str(ROOT / "build"))


# Cells.


def side_by_side(make: Callable[[], Any], name: str, fix: str = "") -> tuple[int, str]:
    """Run the gates and the plain Verilog of a component on the same random inputs.

    Returns how many outputs differ, and the netlist of the gates. ``fix`` is Verilog that changes
    the inputs of a cycle.
    """
    component = make()
    gates = emit.emit_verilog(component, f"{name}_gates", part=PART)
    plain = emit.emit_verilog(make(), f"{name}_plain")
    ports = [
        ("_".join(map(str, path)), len(Value.cast(value)), member.flow == wiring.In)
        for path, member, value in component.signature.flatten(component)
    ]
    inputs = [(port, size) for port, size, is_input in ports if is_input]
    outputs = [(port, size) for port, size, is_input in ports if not is_input]

    def instance(kind: str) -> str:
        pins = [f".{port}({port})" for port, _ in inputs]
        pins += [f".{port}({kind}_{port})" for port, _ in outputs]
        return f"{name}_{kind} {kind}(.clk(clk), .rst(1'b0), {', '.join(pins)});"

    lines = ["module bench;", "reg clk = 0;", "integer k, wrong = 0, seen = 0;"]
    lines += [f"reg [{size - 1}:0] {port} = 0;" for port, size in inputs]
    for kind in ("gates", "plain"):
        lines += [f"wire [{size - 1}:0] {kind}_{port};" for port, size in outputs]
        lines += [instance(kind)]
    lines += ["initial begin", "for (k = 0; k < 3000; k = k + 1) begin"]
    lines += [f"{port} = {{$random, $random}};" for port, _ in inputs]
    lines += [fix, "#5 clk = 1; #1;"]
    for port, _ in outputs:
        # What was never read is not defined.
        lines += [f"if (^plain_{port} !== 1'bx) begin", "seen = seen + 1;"]
        lines += [f"if (gates_{port} !== plain_{port}) wrong = wrong + 1;", "end"]
    lines += ["#4 clk = 0;", "end", '$display("%0d %0d", wrong, seen);', "$finish;"]
    lines += ["end", "endmodule"]
    bench = gates.with_name("bench.v")
    bench.write_text("\n".join(lines) + "\n")
    program = bench.with_suffix(".vvp")
    command = ["iverilog", "-g2005", "-o", str(program), str(bench), str(gates), str(plain)]
    subprocess.run(command, check=True, timeout=60)
    out = subprocess.run(
        ["vvp", "-n", str(program)], check=True, timeout=60, capture_output=True, text=True
    ).stdout
    wrong, seen = map(int, out.split())
    assert seen > 2900
    return wrong, gates.with_name("gates.v").read_text()


@pytest.mark.parametrize(
    ("width", "depth"),
    [
        (40, 512),
        (20, 1024),
        (9, 2048),
        *(pytest.param(*shape, marks=pytest.mark.gates) for shape in SLOW_SHAPES),
    ],
)
@pytest.mark.xdist_group("gates cells")
def test_block_ram_of_every_shape_is_the_plain_memory(width: int, depth: int) -> None:
    # Few addresses, so that what was written is read, and in both halves, since the deepest ones
    # have a page for each; never one that is written in that cycle.
    few = f"& {depth // 2 + 3}"
    fix = f"w_addr = w_addr {few}; r_addr = r_addr {few}; "
    fix += "if (w_addr == r_addr) r_addr = r_addr ^ 1;"
    name = f"ram{width}x{depth}"
    wrong, netlist = side_by_side(lambda: BlockRam(width, depth), name, fix)
    assert wrong == 0
    assert ("PDPW16KD" in netlist, "DP16KD" in netlist) == (depth == 512, depth != 512)


class Constants(wiring.Component):
    """A table of constants, which yosys puts into block RAM by itself."""

    def __init__(self, width: int, depth: int):
        self._width, self._depth = width, depth
        super().__init__({"address": In(range(depth)), "data": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = [k * k * 40503 >> 3 & (1 << self._width) - 1 for k in range(self._depth)]
        m.submodules.memory = memory = Memory(shape=self._width, depth=self._depth, init=words)
        port = memory.read_port()
        m.d.comb += [port.addr.eq(self.address), self.data.eq(port.data)]
        return m


@pytest.mark.parametrize(
    ("width", "depth"),
    [
        (18, 1024),
        *(pytest.param(*shape, marks=pytest.mark.gates) for shape in ((30, 512), *SLOW_ROMS)),
    ],
)
@pytest.mark.xdist_group("gates cells")
def test_a_block_ram_begins_with_its_first_words(width: int, depth: int) -> None:
    wrong, netlist = side_by_side(lambda: Constants(width, depth), f"rom{width}")
    assert wrong == 0
    assert "DP16KD" in netlist


@pytest.mark.xdist_group("gates cells")
def test_a_word_that_is_read_while_it_is_written_comes_out_wrong() -> None:
    fix = "w_addr = w_addr & 1; r_addr = r_addr & 1;"
    assert side_by_side(lambda: BlockRam(36, 512), "ram_collision", fix)[0] > 100


@pytest.mark.parametrize(("width", "depth"), [(20, 1024), (9, 2048)])
@pytest.mark.xdist_group("gates cells")
def test_a_paired_table_is_the_plain_memory_for_both_readers(width: int, depth: int) -> None:
    fix = "w_addr = w_addr & 7; address_0 = address_0 & 7; address_1 = address_1 & 7; "
    fix += "w_en = k % 8 < 2; if (w_addr == address_1) address_1 = address_1 ^ 1;"
    wrong, netlist = side_by_side(lambda: PairedTable(width, depth), f"pair{width}", fix)
    assert wrong == 0
    assert netlist.count("DP16KD") == -(-width // (18 if depth == 1024 else 9))


class Clocked(wiring.Component):
    """An adder with a register behind it: the bench has a clock."""

    def __init__(self, functions: list[int]):
        self._adder = GatedAdder(functions)
        super().__init__(self._adder.signature)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.adder = adder = self._adder
        m.d.comb += [
            getattr(adder, name).eq(getattr(self, name)) for name in ("a", "b", "control", "carry")
        ]
        m.d.sync += self.o.eq(adder.o)
        return m


@pytest.mark.parametrize("size", [1, 10, 15])
@pytest.mark.xdist_group("gates cells")
def test_a_gated_adder_is_one_carry_chain(size: int) -> None:
    functions = [(XOR, AND_NOT, OR)[k % 3] for k in range(size)]
    wrong, netlist = side_by_side(lambda: Clocked(functions), f"adder{size}")
    assert wrong == 0
    assert netlist.count("CCU2C") == size // 2 + 1
    assert "LUT4" not in netlist


@pytest.mark.parametrize(
    ("a", "b", "held"),
    [
        (signed(18), unsigned(17), True),
        (signed(12), signed(18), True),
        (unsigned(9), signed(7), True),
        (unsigned(18), unsigned(18), True),
        (signed(10), unsigned(4), False),
    ],
)
@pytest.mark.xdist_group("gates cells")
def test_the_multiplier_is_the_plain_product(a: Shape, b: Shape, held: bool) -> None:
    name = f"mul{a.width}{'us'[a.signed]}{b.width}{'us'[b.signed]}{'' if held else '_direct'}"
    wrong, netlist = side_by_side(lambda: Multiplier(a, b, held), name)
    assert wrong == 0
    assert "MULT18X18D" in netlist
    assert "LUT4" not in netlist


@pytest.mark.xdist_group("gates cells")
def test_a_mode_without_a_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    netlist = Multiplier._ecp5

    def odd(self: Multiplier, m: Any) -> None:
        netlist(self, m)
        m.submodules.dsp.parameters["REG_PIPELINE_CLK"] = "CLK0"

    monkeypatch.setattr(Multiplier, "_ecp5", odd)
    with pytest.raises(ToolError, match="mode_that_is_not_modelled"):
        emit.emit_verilog(Multiplier(signed(5), signed(5)), "mul_odd", part=PART)


# The codec.


def designs(*lanes: int) -> Any:
    """Parametrises over benches and lanes; one worker has all tests of a design."""
    return pytest.mark.parametrize(
        ("bench", "lanes"),
        [
            pytest.param(b, n, marks=pytest.mark.xdist_group(f"gates {b}{n}"))
            for n in lanes
            for b in ("encoder", "decoder")
        ],
    )


def must_pass(outcome: runner.Outcome) -> None:
    if outcome.failed:
        pytest.fail(str(outcome), pytrace=False)
    assert outcome.passed


@pytest.mark.gates
@designs(8)
def test_gates_make_the_references_frames_for_every_configuration(bench: str, lanes: int) -> None:
    given = [*cases.basic(), *cases.full()]
    must_pass(runner.simulate(bench, lanes, "configurations", given, part=PART))


@pytest.mark.gates
@designs(8)
def test_gates_bear_every_stall_pattern(bench: str, lanes: int) -> None:
    must_pass(runner.simulate(bench, lanes, "stalls", list(cases.stalled()), part=PART))


@pytest.mark.gates
@designs(8, 4, 2)
def test_gates_meet_the_golden_vectors(bench: str, lanes: int) -> None:
    must_pass(runner.simulate(bench, lanes, "golden", cases.golden(GOLDEN), part=PART))


@pytest.mark.gates
@pytest.mark.parametrize(
    "bench",
    [
        pytest.param(bench, marks=pytest.mark.xdist_group(f"gates {bench}"))
        for bench in ("fmz_encoder", "fmz_decoder")
    ],
)
def test_gates_meet_the_golden_vectors_of_the_coder_rans(bench: str) -> None:
    must_pass(runner.simulate(bench, 8, "golden", cases.golden(RANS_GOLDEN), part=PART))
