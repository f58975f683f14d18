"""Area and speed of encoder and decoder on an ECP5, out of context, after place and route.

The component stands between a shift register and registers whose XOR is put out, so that nothing
is optimised away, no pin is in a timing path, and the figures are those of the component but for a
few dozen cells. The clock that is asked for is above what is reached: nextpnr stops improving
where its constraint is met.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.errors import ToolError
from fmzip.format import BLOCK
from fmzip_boards import tools
from fmzip_hw.decoder import Decoder
from fmzip_hw.encoder import Encoder
from fmzip_hw.fmzdecoder import FmzDecoder
from fmzip_hw.fmzencoder import FmzEncoder
from fmzip_hw.gf2codec import Gf2Decoder, Gf2Encoder
from fmzip_hw.huffcode import HuffmanCoder
from fmzip_hw.pipeline import register
from fmzip_hw.planesize import PlaneSize
from fmzip_hw.project import ProjectionEngine
from fmzip_hw.projectdecoder import ProjectionDecoder
from fmzip_hw.projectencoder import ProjectionEncoder
from fmzip_hw.projectsize import ProjectionSize
from fmzip_hw.raster import RasterToWire, WireToRaster
from fmzip_hw.synthesis import PREPARE, Part


def _of_8_lanes(build: Callable[[], wiring.Component]) -> Callable[[int], wiring.Component]:
    def of(lanes: int) -> wiring.Component:
        if lanes != BLOCK:
            raise ValueError(f"only dctcm and fmz have less than {BLOCK} lanes, not {lanes}")
        return build()

    return of


# As large as on the boards that have it.
PROJECTION = ProjectionSize(multipliers=16)
COMPONENTS: dict[str, Callable[[int], wiring.Component]] = {
    "encoder": Encoder,
    "decoder": Decoder,
    "fmz-encoder": FmzEncoder,
    "fmz-decoder": FmzDecoder,
    "pcavlc-encoder": _of_8_lanes(lambda: ProjectionEncoder(PROJECTION)),
    "pcavlc-decoder": _of_8_lanes(lambda: ProjectionDecoder(PROJECTION)),
    "projection": _of_8_lanes(lambda: ProjectionEngine(PROJECTION)),
    "huffman": _of_8_lanes(HuffmanCoder),
    # Of up to 64 values and 512 planes: 8 planes of 64 inputs, or 64 integers, in a cycle.
    "gf2-encoder": _of_8_lanes(lambda: Gf2Encoder(PlaneSize())),
    "gf2-decoder": _of_8_lanes(lambda: Gf2Decoder(PlaneSize())),
    "raster-to-wire": RasterToWire,
    "wire-to-raster": WireToRaster,
}


def components(lanes: int) -> tuple[str, ...]:
    """Those that there are with so many values per beat."""
    less = ("encoder", "decoder", "fmz-encoder", "fmz-decoder")
    return tuple(n for n in COMPONENTS if lanes == BLOCK or n in less)


PARTS = {"LFE5U-12F": "--12k", "LFE5U-25F": "--25k", "LFE5U-45F": "--45k", "LFE5U-85F": "--85k"}
SPEEDS = (6, 7, 8)
_PACKAGE = "CABGA381"
# Paths that miss the clock weigh more than by default. With one netlist of the ULX3S-85F that gave
# 86 MHz in place of 81.
_PLACER = ("--placer-heap-critexp", "3", "--placer-heap-timingweight", "20")
_SYNTHESIS = (
    "read_rtlil top.il",
    *PREPARE,
    "synth_ecp5 -top top -json top.json",
)


@dataclass(frozen=True)
class AreaRow:
    """One place-and-route run.

    Members
    -------
    component, lanes, part, speed, seed : what was built
    fmax_mhz : highest clock that nextpnr's timing analysis allows
    lut4, ff, ebr, dsp : TRELLIS_COMB, TRELLIS_FF, DP16KD and MULT18X18D cells, harness included
    """

    component: str
    lanes: int
    part: str
    speed: int
    seed: int
    fmax_mhz: float
    lut4: int
    ff: int
    ebr: int
    dsp: int


class Harness(wiring.Component):
    """A component with two pins: all inputs from a shift register, all outputs XORed.

    Parameters
    ----------
    dut : any component

    Members
    -------
    i : In(1), into the shift register
    o : Out(1)
    """

    def __init__(self, dut: wiring.Component):
        self._dut = dut
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self._dut
        inputs: list[Value] = []
        outputs: list[Value] = []
        for _, member, value in dut.signature.flatten(dut):
            (inputs if member.flow == In else outputs).append(Value.cast(value))
        shift = Signal(sum(map(len, inputs)), reset_less=True)
        m.d.sync += shift.eq(Cat(self.i, shift))
        m.d.comb += Cat(inputs).eq(shift)
        seen = register(m, Cat(outputs))
        parts = [register(m, seen[k : k + 4].xor()) for k in range(0, len(seen), 4)]
        halves = [register(m, Cat(parts[k : k + 4]).xor()) for k in range(0, len(parts), 4)]
        m.d.sync += self.o.eq(Cat(halves).xor())
        return m


def tool_versions() -> dict[str, str]:
    """Versions of what the figures depend on."""
    return tools.tool_versions(tools.YOSYS, tools.NEXTPNR_ECP5)


def measure(
    component: str,
    seeds: Iterable[int] = (1, 2, 3),
    *,
    lanes: int = 8,
    part: str = "LFE5U-85F",
    speed: int = 6,
    freq: float = 150.0,
    build_dir: Path = Path("build/area"),
    log: Callable[[str], None] = lambda line: None,
) -> list[AreaRow]:
    """Synthesise a component once, then place and route it with each seed.

    Parameters
    ----------
    component : a name in ``COMPONENTS``
    seeds : of the placer
    lanes : 2, 4 or 8
    part, speed : device and speed grade
    freq : MHz that is asked for
    build_dir : where intermediate files and logs stay; not below /tmp, which the tools do not see
    log : called with a line before each step

    Raises
    ------
    ValueError : unknown component, part or speed grade
    ToolError : a tool is missing or failed
    """
    for name, value, known in (
        ("component", component, COMPONENTS),
        ("part", part, PARTS),
        ("speed", speed, SPEEDS),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, not {value!r}")
    work = build_dir / f"{component}{lanes}-{part}"
    work.mkdir(parents=True, exist_ok=True)
    log(f"{component}, {lanes} lanes: synthesis")
    harness = Harness(COMPONENTS[component](lanes))
    (work / "top.il").write_text(rtlil.convert(harness, platform=Part(part)))
    (work / "synth.ys").write_text("\n".join((*_SYNTHESIS, "")))
    tools.run(tools.YOSYS, ["-q", "synth.ys"], work, "synth.log")
    rows = []
    for seed in seeds:
        log(f"{component}, {lanes} lanes: place and route, seed {seed}")
        report = f"report-{seed}.json"
        options = [
            PARTS[part], "--package", _PACKAGE, "--speed", str(speed), "--freq", str(freq),
            "--seed", str(seed), "--json", "top.json", "--report", report,
            "--lpf-allow-unconstrained", "--timing-allow-fail", *_PLACER,
        ]  # fmt: skip
        (work / report).unlink(missing_ok=True)
        tools.run(tools.NEXTPNR_ECP5, options, work, f"route-{seed}.log")
        figures = parse_report((work / report).read_text())
        rows.append(AreaRow(component, lanes, part, speed, seed, **figures))
    return rows


def parse_report(text: str) -> dict[str, Any]:
    """Fmax and cells of nextpnr's report.

    Raises
    ------
    ToolError : it is not such a report
    """
    try:
        report = json.loads(text)
        (clock,) = report["fmax"].values()
        used = {name: cell["used"] for name, cell in report["utilization"].items()}
        return {
            "fmax_mhz": round(clock["achieved"], 2),
            "lut4": used["TRELLIS_COMB"],
            "ff": used["TRELLIS_FF"],
            "ebr": used["DP16KD"],
            "dsp": used["MULT18X18D"],
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"nextpnr's report cannot be read: {error!r}") from None
