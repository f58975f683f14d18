"""README of an exported core, from the templates in ``files``."""

from pathlib import Path
from string import Template

from fmzip import __version__
from fmzip.format import (
    HEAD,
    POSITION_SLOTS_MAX,
    ROW_SLOTS_MAX,
    STATIC_BYTES,
    TILE_BLOCKS_MAX,
    TILE_SLOTS_MAX,
)
from fmzip.ipregs import CORE_MAP, FAULT_MEANING, CoreFault
from fmzip.regs import MAX_TILES

# What the AXI ports may cost: LUT4 of the core with them less those of the core without.
WRAPPER_LUT_MAX = 600

_FILES = Path(__file__).with_name("files")
_AXI_DRAWING = """\
             s_axil (AXI4-Lite)                              s_axil (AXI4-Lite)
                    |                                               |
             +------+------+                                 +------+------+
             |  registers  |--- irq                          |  registers  |--- irq
             +------+------+                                 +------+------+
                    | head, step                                    | head
 values      +------+------+      tiles, then head           +------+------+      values
 s_axis ---->| codec, head |-----> m_axis ==> memory ==>-----| check, codec|----> m_axis
 TLAST       +-------------+      TKEEP TLAST TDEST   s_axis +-------------+  TKEEP TLAST
"""
_PLAIN_DRAWING = """\
      head, multiplier, start                            head, start
                 |                                            |
 values   +------+------+    tiles, then head          +------+------+   values
 i ------>| codec, head |----> o ==> memory ==> -----> | check, codec|-----> o
 ready    +-------------+    last, head          i     +-------------+   keep, last
"""
_AXI_STEPS = """\
1. `fmzip_identify`: `ident` is that of this map, `build` says which core it is.
2. `fmzip_configure`: write `head`, and of the encoder `multiplier`. Then `head_bytes` is known.
3. Encoder: `fmzip_start`; a DMA engine feeds the values and takes the first packet (TDEST 0, the
   tiles) to `frame + head_bytes`, the second one (TDEST 1, the head) to `frame`.
   `fmzip_max_bytes` is the room that it needs.
   Decoder: `fmzip_start`; a DMA engine feeds the whole frame as one packet and takes the values.
4. `fmzip_wait`: `done` rises when all has left. `fault` is 0, and the encoder's `frame_bytes` is
   the frame's size. `ack`, or the next `start`, clears `done`."""
_PLAIN_STEPS = """\
1. Hold `head`, and of the encoder `multiplier`, from before `start` until `busy` has fallen. Behind
   32 cycles `first` is the size of the head in words.
2. Raise `start` for a cycle. The encoder's words without `o_head` go to memory behind the place of
   the head, those with it to its begin; the decoder takes the words of a frame from its begin on.
3. When `busy` has fallen `fault` is 0, and the encoder's `words` is the frame's size."""
_TEXTS = {
    "dctcm": {
        "limit": f"{TILE_BLOCKS_MAX} blocks of 8 values",
        "coders": "The transform is DCT-8 (1), the coder `width` (1) or `bitmap` (2).",
        "wht": "",
        "latency": """\
- Latency: the encoder's first word comes a few dozen cycles behind the last beat of the first tile,
  since only then it is known whether the tile is stored raw; the decoder's first beat as many
  behind the first word of a raw tile, and behind the widths and bitmaps of another one. The first
  lines of the Verilog say how many. A frame begins 32 cycles behind its command.""",
        "rate": """\
- Throughput: a beat per cycle, but for 2 cycles between tiles; the bench prints its count.""",
    },
    "fmz": {
        "limit": f"{TILE_SLOTS_MAX} slots of 8 symbols, {ROW_SLOTS_MAX} in a row of positions and "
        f"{POSITION_SLOTS_MAX} in one (with `nibbles` a pixel has 2 slots for 8 channels, with "
        "`wht4` 2 x 2 pixels have 4)",
        "coders": "The coder is `rans` (3), the transform 2, 3 or 4.",
        "wht": """
With transform `wht4` the four pixels of a position follow each other: left and right of the upper
row, then of the lower one.""",
        "latency": """\
- Latency: a tile is coded backwards, when its last value has come, so the encoder is a tile behind;
  the decoder puts out values while a tile's words come.""",
        "rate": """\
- Throughput: up to 8 values per cycle, with gaps where maps have less than 64 channels or symbols
  are escapes; the bench prints its count.""",
    },
}  # fmt: skip
_TABLE_PORTS = """\
| `diffusion` | of the encoder: rounding and weights, as the register of that name |
| `tables_start` | strobe: the next byte is the first of the tables |
| `tables_data`, `tables_valid`, `tables_ready` | the string of the tables, byte by byte |
| `tables_whole` | all bytes have been stored |
"""


def readme(codec: str, lanes: int, *, axi: bool) -> str:
    """The text."""
    return _fill(
        "readme.md",
        codec=codec,
        lanes=lanes,
        option=" --axi" if axi else "",
        kind="AXI4-Stream and AXI4-Lite" if axi else "valid/ready",
        version=__version__,
        first="`head_bytes` says how large it is" if axi else "`first` is its size in words",
        tiles=MAX_TILES,
        fields="\n".join(
            f"| {f.offset} | {f.size} | `{f.name}` | {f.meaning} |"
            for f in HEAD
            if f.offset < STATIC_BYTES
        ),
        steps=_AXI_STEPS if axi else _PLAIN_STEPS,
        wrapper=WRAPPER_LUT_MAX,
        reset=", `aresetn` is low for it" if axi else "",
        drawing=_AXI_DRAWING if axi else _PLAIN_DRAWING,
        ports=_axi_ports(lanes) if axi else _plain_ports(codec, lanes),
        **_TEXTS[codec],
    )


def _fill(name: str, **values: object) -> str:
    return Template((_FILES / name).read_text(encoding="utf-8")).substitute(values)


def _axi_ports(lanes: int) -> str:
    fields = []
    for r in CORE_MAP:
        for f in r.fields:
            bits = f.low if f.size == 1 else f"{f.low + f.size - 1}:{f.low}"
            fields.append(f"| `{r.name}` | `{f.name}` | {bits} | {f.meaning} |")
    return _fill(
        "ports_axi.md",
        bits=8 * lanes,
        rows="\n".join(
            f"| {r.address:#04x} | `{r.name}` | {r.access.value} | {r.meaning} |" for r in CORE_MAP
        ),
        fields="\n".join(fields),
        faults="\n".join(f"| {f.value} | `{f.name}` | {FAULT_MEANING[f]} |" for f in CoreFault),
    )


def _plain_ports(codec: str, lanes: int) -> str:
    extra = _TABLE_PORTS if codec == "fmz" else ""
    return _fill("ports_plain.md", bits=8 * lanes, extra=extra)
