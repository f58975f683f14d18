"""How much of an iCE40UP5K the parts of a system of 2 lanes take: more than there is.

Cells after packing, before placement, which cannot begin where there are too many. As in
``fmzip_boards.area`` a part stands in a harness.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from fmzip.errors import ToolError
from fmzip.format import Coder, FrameConfig, multiplier
from fmzip_boards import tools
from fmzip_boards.area import Harness
from fmzip_hw.bridge import Bridge
from fmzip_hw.counters import Counters
from fmzip_hw.decoder import Decoder
from fmzip_hw.encoder import Encoder
from fmzip_hw.synthesis import HIDE_ELEMENTS

_LANES = 2
_RING_BLOCKS = 256  # the least
# What a part for one kind of map would be built for: the shape of the map and of its tiles is free.
_FREE = ("channels", "height", "width", "tile_rows", "tile_cols", "tiles")
_ONE = FrameConfig(64, 56, 56, coder=Coder.WIDTH, step=1000)


class OneKind(wiring.Component):
    """An encoder or decoder whose configuration is constant, but for the map's shape.

    Parameters
    ----------
    codec : encoder or decoder
    """

    def __init__(self, codec: Encoder | Decoder):
        self._codec = codec
        settings = ("head", "multiplier")
        self._ports = [name for name in codec.signature.members if name not in settings]
        super().__init__({
            **{name: codec.signature.members[name] for name in self._ports},
            **{name: In(len(Value.cast(codec.head[name]))) for name in _FREE},
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.codec = codec = self._codec
        for name in self._ports:
            mine, inner = getattr(self, name), getattr(codec, name)
            member = codec.signature.members[name]
            if not member.is_port:
                wiring.connect(m, wiring.flipped(mine), inner)
            elif member.flow == In:
                m.d.comb += Value.cast(inner).eq(mine)
            else:
                m.d.comb += Value.cast(mine).eq(inner)
        m.d.comb += Value.cast(codec.head).eq(int.from_bytes(_ONE.static_head(), "little"))
        m.d.comb += [Value.cast(codec.head[name]).eq(getattr(self, name)) for name in _FREE]
        if isinstance(codec, Encoder):
            m.d.comb += codec.multiplier.eq(multiplier(_ONE.step))
        return m


PARTS: dict[str, Callable[[], wiring.Component]] = {
    "encoder": lambda: Encoder(_LANES, _RING_BLOCKS),
    "decoder": lambda: Decoder(_LANES, _RING_BLOCKS),
    "encoder, one kind of map": lambda: OneKind(Encoder(_LANES, _RING_BLOCKS)),
    "decoder, one kind of map": lambda: OneKind(Decoder(_LANES, _RING_BLOCKS)),
    "bridge": Bridge,
    "counters": Counters,
}
_SYNTHESIS = (
    "read_rtlil top.il",
    HIDE_ELEMENTS,
    "synth_ice40 -dsp -device u -top top -json top.json",
)


@dataclass(frozen=True)
class Packed:
    """Cells of a part.

    Members
    -------
    part : its name
    lc, available : logic cells that it takes, and those of the device
    ebr, dsp : block RAMs and multipliers
    """

    part: str
    lc: int
    available: int
    ebr: int
    dsp: int


def measure(name: str, build_dir: Path, log: Callable[[str], None] = lambda line: None) -> Packed:
    """Synthesise and pack a part; ToolError if a tool is missing or failed."""
    work = build_dir / re.sub(r"\W+", "-", name)
    work.mkdir(parents=True, exist_ok=True)
    log(f"iCE40UP5K, {name}: synthesis and packing")
    (work / "top.il").write_text(rtlil.convert(Harness(PARTS[name]())))
    (work / "synth.ys").write_text("\n".join((*_SYNTHESIS, "")))
    tools.run(tools.YOSYS, ["-q", "synth.ys"], work, "synth.log")
    options = ["--up5k", "--package", "sg48", "--json", "top.json", "--pack-only"]
    tools.run(tools.NEXTPNR_ICE40, options, work, "pack.log")
    return read_log(name, (work / "pack.log").read_text(errors="replace"))


def read_log(name: str, text: str) -> Packed:
    """The utilisation of a log of nextpnr; ToolError if there is none."""
    used = {k: (int(a), int(b)) for k, a, b in re.findall(r"(ICESTORM_\w+): +(\d+)/ *(\d+)", text)}
    try:
        lc = used["ICESTORM_LC"]
        return Packed(name, *lc, used["ICESTORM_RAM"][0], used["ICESTORM_DSP"][0])
    except KeyError as error:
        raise ToolError(f"nextpnr's log has no {error}") from None
