"""Encoder and decoder cores with AXI ports side by side, in a Verilog simulator under cocotb."""

import json
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from fmzip.errors import ToolError
from fmzip_sim.emit import locked
from fmzip_sim.ip.verilog import SIDES, core_name, core_verilog
from fmzip_sim.tb.runner import read_results, simulator, simulator_environment, why_not

TOP = "pair"
_SHARED = ("aclk", "aresetn")


def pair_verilog(codec: str, sources: dict[str, Path]) -> str:
    """A module with both cores: ports of the encoder begin with ``enc_``, the others ``dec_``."""
    ports, cells = [f"input {name}" for name in _SHARED], []
    for side, source in sources.items():
        connections = [f".{name}({name})" for name in _SHARED]
        top = source.read_text().split(f"module {core_name(codec, side)}(")[1].split("endmodule")[0]
        for direction, bits, name in re.findall(r"^  (in|out)put (\[.*\] )?(\w+);", top, re.M):
            if name not in _SHARED:
                ports.append(f"{direction}put {bits}{side[:3]}_{name}")
                connections.append(f".{name}({side[:3]}_{name})")
        cells.append(f"  {core_name(codec, side)} {side}({', '.join(connections)});")
    return "\n".join((f"module {TOP}({', '.join(ports)});", *cells, "endmodule", ""))


@dataclass(frozen=True)
class Outcome:
    """Names of the tests that passed, messages of the others, and figures that were counted."""

    passed: list[str]
    failed: dict[str, str]
    figures: dict[str, Any]
    log: Path


def simulate_pair(codec: str, lanes: int, seeds: range, *, test: str = "") -> Outcome:
    """Run ``fmzip_sim.ip.axi_bench`` on both cores.

    Parameters
    ----------
    seeds : of the random frames
    test : name of the one test to run; by default all

    Raises
    ------
    ToolError : Yosys or the simulator is missing or broke
    """
    sim = simulator()
    if reason := why_not(sim):
        raise ToolError(reason)
    sources = {side: core_verilog(codec, side, lanes, axi=True, flat=True) for side in SIDES}
    where = sources["encoder"].parent / f"{TOP}-{sources['decoder'].parent.name}-{sim}"
    logging.getLogger("cocotb_tools").setLevel(logging.CRITICAL)
    with locked(where), simulator_environment(sim):
        top = where / f"{TOP}.v"
        top.write_text(pair_verilog(codec, sources))
        runner = get_runner(sim)
        options = ["-Wno-fatal", "-O3"] if sim == "verilator" else []
        runner.build(
            sources=[*sources.values(), top], hdl_toplevel=TOP, build_dir=where, always=False,
            timescale=("1ns", "1ps"), log_file=where / "build.log", build_args=options,
        )  # fmt: skip
        results, figures = where / "results.xml", where / "figures.json"
        for file in (results, figures):
            file.unlink(missing_ok=True)
        environment = {
            "FMZIP_AXI": json.dumps({
                "codec": codec, "lanes": lanes, "seeds": [seeds.start, seeds.stop],
                "figures": str(figures),
            }),
            "COCOTB_ANSI_OUTPUT": "0",
            "PYTHONWARNINGS": "ignore::DeprecationWarning",  # of cocotbext-axi, under cocotb 2
        }  # fmt: skip
        log = where / "run.log"
        broken: BaseException | None = None
        try:
            runner.test(
                test_module="fmzip_sim.ip.axi_bench", hdl_toplevel=TOP, build_dir=where,
                test_dir=where, results_xml=str(results), seed=1, timescale=("1ns", "1ps"),
                log_file=log, extra_env=environment, test_filter=test or None,
            )  # fmt: skip
        except (RuntimeError, SystemExit) as error:  # also where a test failed, under pytest
            broken = error
        try:
            count, failures = get_results(results)
        except RuntimeError:
            count = failures = 0
        if not count or (broken is not None and not failures):
            tail = [t for t in log.read_text(errors="replace").splitlines() if t.strip()][-3:]
            raise ToolError(f"{sim} broke ({broken}): {' | '.join(tail)}; see {log}")
        counted = json.loads(figures.read_text()) if figures.exists() else {}
        return Outcome(*read_results(results), counted, log)


def settings() -> dict[str, Any]:
    """What the bench was asked for; inside the simulator."""
    found: dict[str, Any] = json.loads(os.environ["FMZIP_AXI"])
    return found
