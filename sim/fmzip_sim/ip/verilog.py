"""The cores as Verilog, with their hierarchy and with names that a reader knows."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

from fmzip import __version__
from fmzip_hw.axicores import AxiDecoder, AxiEncoder
from fmzip_hw.framecores import FrameDecoder, FrameEncoder
from fmzip_sim.emit import YOSYS, PlainPorts, build_root, locked, run_yosys
from fmzip_sim.ip import names
from fmzip_sim.ip.names import readable, without_escapes

_SCRIPT = "read_rtlil {name}.il; proc; opt; clean; {flat}write_verilog -noattr {name}.part.v"
SIDES = ("encoder", "decoder")


def core_name(codec: str, side: str) -> str:
    """Name of a core's module and file."""
    return f"fmzip_{codec}_{side}"


def core_of(codec: str, side: str, lanes: int, *, axi: bool) -> Any:
    """The component of a core, as it is exported.

    Raises
    ------
    ValueError : there is no such codec, or not with so many lanes
    """
    builds = (AxiEncoder, AxiDecoder) if axi else (FrameEncoder, FrameDecoder)
    return builds[SIDES.index(side)](codec, lanes)


def core_verilog(codec: str, side: str, lanes: int, *, axi: bool, flat: bool = False) -> Path:
    """Verilog file of a core; what was made before from the same netlist is used again.

    Parameters
    ----------
    codec, lanes : see ``fmzip_hw.cores``
    side : ``encoder`` or ``decoder``
    axi : with AXI ports, or with plain ones
    flat : without hierarchy, which simulates faster

    Raises
    ------
    ValueError : there is no such codec, or not with so many lanes
    ToolError : Yosys is missing or failed
    """
    name = core_name(codec, side)
    core = core_of(codec, side, lanes, axi=axi)
    top = core if axi else PlainPorts(core)
    netlist = readable(rtlil.convert(top, name=name, emit_src=False))
    script = _SCRIPT.format(name=name, flat="flatten; opt; clean; " if flat else "")
    recipe = Path(names.__file__).read_text() + Path(__file__).read_text()
    what = "\n".join((netlist, script, version(YOSYS), recipe))
    digest = hashlib.sha256(what.encode()).hexdigest()[:12]
    directory = build_root() / "ip" / f"{name}-{digest}"
    verilog = directory / f"{name}.v"
    with locked(directory):
        if not verilog.exists():
            (directory / f"{name}.il").write_text(netlist)
            run_yosys(script, directory)
            part = directory / f"{name}.part.v"
            body = without_escapes(part.read_text()).split("\n", 1)[1]  # yosys's own first line
            ports = "AXI4-Stream and AXI4-Lite" if axi else "valid/ready"
            part.write_text(
                "// SPDX-License-Identifier: Apache-2.0\n"
                f"// fmzip {__version__}: {side} of codec {codec}, {lanes} lanes, {ports} ports.\n"
                f"{_latency(core, side)}"
                f"// Made by `fmzip rtl` with yosys {version(YOSYS)}; not written by hand.\n{body}"
            )
            part.replace(verilog)
    return verilog


def _latency(core: Any, side: str) -> str:
    """A line for cores whose latency is one number."""
    if core.latency is None:
        return ""
    what = (
        "last beat of a tile to its first word"
        if side == "encoder"
        else ("first word of a raw tile to its first beat")
    )
    return f"// Latency: {core.latency} cycles from the {what}.\n"
