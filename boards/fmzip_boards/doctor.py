"""What of the tools is here, what is missing, and how to get it; which ports look like boards."""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fmzip_boards import flash, tools
from fmzip_boards.catalogue import BOARDS

_TIMEOUT_S = 20


@dataclass(frozen=True)
class Finding:
    """A package or a program.

    Members
    -------
    name : of it
    found : its version, or that it is there; None if it is missing
    purpose : what it is for
    remedy : how to get it
    """

    name: str
    found: str | None
    purpose: str
    remedy: str


_PACKAGES = (
    ("amaranth", "the gateware", "hw"),
    ("amaranth-boards", "pins of the boards", "hw"),
    (tools.YOSYS, "synthesis, and the virtual board", "hw"),
    (tools.NEXTPNR_ECP5, "place and route, bitstreams", "fpga"),
    ("torch", "networks: hil, measure", "models"),
    ("matplotlib", "plots of a report", "report"),
    ("onnx", "networks in ONNX files", "onnx"),
    ("cocotb", "benches on Verilog: make sim", "sim"),
)
_PROGRAMS = (
    ("g++", "the virtual board", "apt-get install g++"),
    ("iverilog", "benches on Verilog: make sim", "apt-get install iverilog"),
    (flash.LOADER, "loading a board: fmzip flash", "apt-get install openfpgaloader"),
    ("verilator", "faster benches: SIM=verilator make sim", "Verilator 5.036 or later"),
)


def findings() -> list[Finding]:
    """All packages and programs that parts of this program need."""
    found = []
    for name, purpose, extra in _PACKAGES:
        try:
            there: str | None = version(name)
        except PackageNotFoundError:
            there = None
        found.append(Finding(name, there, purpose, f"pip install 'fmzip[{extra}]'"))
    for name, purpose, remedy in _PROGRAMS:
        path = tools.find(name)
        found.append(Finding(name, _program_version(path) if path else None, purpose, remedy))
    return found


def _program_version(path: str) -> str:
    """The first number that looks like a version in what a program says of itself."""
    for option in ("--version", "-V"):
        try:
            done = subprocess.run(
                [path, option], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        number = re.search(r"\b\d+\.\d[\w.]*", done.stdout + done.stderr)
        if number:
            return number[0]
    return "there"


def boards_at(ports: Iterable[Any]) -> list[tuple[str, str, list[str]]]:
    """Serial ports with a USB device behind: port, what it calls itself, boards that have such.

    Parameters
    ----------
    ports : of ``serial.tools.list_ports.comports``
    """
    rows = []
    for port in ports:
        if port.vid is None:
            continue
        alike = [board.name for board in BOARDS.values() if board.usb == (port.vid, port.pid)]
        rows.append((port.device, str(port.description), alike))
    return rows
