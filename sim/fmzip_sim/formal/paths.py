"""Valid never waits for ready: no combinational path from the one to the other, by the netlist."""

from typing import Any

from amaranth.back import rtlil

from fmzip.errors import ToolError
from fmzip_hw.synthesis import HIDE_ELEMENTS
from fmzip_sim.emit import PlainPorts, build_root, locked, run_yosys

# What a path ends at: registers, and memories whose read ports are registers.
_STATE = (
    "$dff", "$dffe", "$sdff", "$sdffe", "$sdffce", "$adff", "$adffe", "$mem_v2", "$memrd_v2",
    "$memwr_v2",
)  # fmt: skip


def valid_waits_for_ready(name: str, component: Any, streams: list[str]) -> str | None:
    """The first of a component's output streams whose valid depends on its ready, or None.

    Parameters
    ----------
    streams : names of the streams, parts joined by ``_``
    """
    work = build_root() / "formal" / f"{name}-paths"
    rules = ",".join(f"-{kind}" for kind in _STATE)
    with locked(work):
        netlist = rtlil.convert(PlainPorts(component), name="top", emit_src=False)
        (work / "top.il").write_text(netlist)
        script = f"read_rtlil top.il; {HIDE_ELEMENTS}; proc; flatten; opt_clean"
        for stream in streams:
            cone = f"o:{stream}_valid %ci*:{rules} i:{stream}_ready %i"
            try:
                run_yosys(f"{script}; select -assert-none {cone}", work)
            except ToolError as error:
                if "Assertion failed" in str(error):
                    return stream
                raise
    return None
