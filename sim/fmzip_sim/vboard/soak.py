"""The SDRAM controller and the chip model as a native program: millions of cycles of traffic."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.errors import FmzipError
from fmzip.sdram import Cycles, SdramPart
from fmzip_hw.memport import ROW_WORDS, MemoryPort
from fmzip_hw.sdram import SdramController
from fmzip_hw.sdrampins import sdram_pins
from fmzip_sim.emit import PlainPorts, build_root, locked, run_yosys
from fmzip_sim.vboard.build import HEADERS, compile_cpp
from fmzip_sim.vboard.chip import chip_header

_SCRIPT = (
    "read_rtlil controller.il; rename -hide w:*[*]; proc; flatten; opt; splitnets -driver; "
    "opt_clean; write_cxxrtl -header -O6 -g0 controller.cc"
)
_SOURCE = "soak.cc"


class _Controller(wiring.Component):
    """A controller with the names of its ports as the program knows them."""

    def __init__(self, part: SdramPart, inner: SdramController):
        self._inner = inner
        super().__init__({
            "port": In(MemoryPort),
            "sdram": Out(sdram_pins(part)),
            "asleep": Out(1),
            "late": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.inner = inner = self._inner
        wiring.connect(m, wiring.flipped(self.port), inner.port)
        wiring.connect(m, inner.pins, wiring.flipped(self.sdram))
        m.d.comb += [self.asleep.eq(inner.asleep), self.late.eq(inner.late)]
        return m


def build_soak(
    part: SdramPart, clock_hz: float, cas: int = 3, *, cycles: Cycles | None = None
) -> Path:
    """Program of a controller and its chip; what was built before is used again.

    Parameters
    ----------
    part, clock_hz : of the chip
    cas, cycles : of the controller, see ``SdramController``
    """
    controller = SdramController(part, clock_hz, cas, cycles=cycles)
    design = PlainPorts(_Controller(part, controller))
    netlist = rtlil.convert(design, name="controller", emit_src=False)
    header = chip_header(part, clock_hz)
    texts = [Path(__file__).with_name(name).read_text() for name in (_SOURCE, *HEADERS)]
    digest = hashlib.sha256("\n".join((netlist, header, _SCRIPT, *texts)).encode()).hexdigest()
    directory = build_root() / "soak" / digest[:12]
    with locked(directory):
        if not (directory / "soak").exists():
            (directory / "controller.il").write_text(netlist)
            (directory / "sdram_part.h").write_text(header)
            run_yosys(_SCRIPT, directory)
            options = ["-O2", "-include", "controller.cc", f"-DFMZIP_ROW_WORDS={ROW_WORDS}"]
            shutil.copy(Path(__file__).with_name(_SOURCE), directory)
            compile_cpp(directory, _SOURCE, "soak.part", *options)
            (directory / "soak.part").replace(directory / "soak")
    return directory / "soak"


def run_soak(
    program: Path, cycles: int, seed: int = 1, *, timeout_s: float = 600
) -> dict[str, int]:
    """What was done in so many cycles, by name.

    Raises
    ------
    FmzipError : a violation of the datasheet, or a word that is not the one that was written
    """
    done = subprocess.run(
        [program, str(cycles), str(seed)], capture_output=True, text=True, timeout=timeout_s,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise FmzipError(done.stderr.strip() or f"{program}: status {done.returncode}")
    words = done.stdout.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))
