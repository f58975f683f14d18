"""From a board to its bitstream: synthesis once, then place and route, and packing.

The steps are those of amaranth's own build script, from the files that it makes; run one by one,
so that a netlist serves several seeds, and each step can say what it is about.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fmzip
import fmzip_hw
from fmzip.errors import ToolError
from fmzip_boards import tools
from fmzip_boards.board import Board
from fmzip_boards.top import Top
from fmzip_hw.synthesis import PREPARE

# Packages as nextpnr calls them, by what is in amaranth's platforms.
_PACKAGES = {
    "BG256": "CABGA256", "BG381": "CABGA381", "BG554": "CABGA554", "MG285": "CSFBGA285",
}  # fmt: skip
_CELLS = {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "ebr": "DP16KD", "dsp": "MULT18X18D"}
# nextpnr stops improving a path where it meets the clock, so it is asked for a faster one. What is
# needed stays the board's own clock.
MARGIN = 1.15
# Of one netlist of the ULX3S-85F this placer's wires are a fifth shorter than those of the default
# one, and 6 kinds of paths are longer than 9.2 ns in place of 19.
_PLACER = ("--placer", "static")
_TABLES = ("format", "protocol", "regs", "sdram", "tables")

Log = Callable[[str], None]


@dataclass(frozen=True)
class Routed:
    """A board's gateware after place and route.

    Members
    -------
    board, part, lanes, memory : what was built
    clock_mhz : of the gateware, which is needed
    asked_mhz : what place and route was asked for
    seed : of the placer
    fmax_mhz : highest clock that nextpnr's timing analysis allows; it stops improving where what it
        was asked for is met
    slack_ns : left of the period at ``clock_mhz``; negative where the clock is missed
    lut, ff, ebr, dsp : cells that are used, and those of the part
    """

    board: str
    part: str
    lanes: int
    memory: str
    clock_mhz: float
    asked_mhz: float
    seed: int
    fmax_mhz: float
    slack_ns: float
    lut: tuple[int, int]
    ff: tuple[int, int]
    ebr: tuple[int, int]
    dsp: tuple[int, int]

    @property
    def met(self) -> bool:
        return self.slack_ns >= 0


def synthesise(board: Board, work: Path, log: Log = lambda line: None) -> Any:
    """Make the netlist ``top.json`` and the constraints in ``work``; returns amaranth's platform.

    A netlist that was made before from the same gateware is used again.

    Raises
    ------
    ToolError : a tool is missing or failed
    """
    work.mkdir(parents=True, exist_ok=True)
    log(f"{board.title}: elaboration")
    platform = board.platform()
    top = Top(board, source_digest(board))
    plan = platform.prepare(top, "top", script_after_read="\n".join(PREPARE))
    digest = hashlib.sha256(repr(tools.tool_versions(tools.YOSYS)).encode())
    for name in ("top.il", "top.ys", "top.lpf"):
        text = plan.files[name]
        data = text if isinstance(text, bytes) else text.encode()
        if name == "top.lpf":
            data = ask_more(data.decode()).encode()
        digest.update(data)
        (work / name).write_bytes(data)
    made, netlist = work / "made.txt", work / "top.json"
    if netlist.exists() and made.exists() and made.read_text() == digest.hexdigest():
        return platform
    made.unlink(missing_ok=True)
    log(f"{board.title}: synthesis, a minute or two")
    tools.run(tools.YOSYS, ["-q", "-l", "synthesis.log", "top.ys"], work, "yosys.log")
    made.write_text(digest.hexdigest())
    return platform


def ask_more(constraints: str) -> str:
    """The constraints with faster clocks, of which nextpnr derives those behind a PLL."""
    return re.sub(
        r"(?m)^(FREQUENCY \w+ \S+ )([0-9.]+)(?= HZ;)",
        lambda found: f"{found[1]}{float(found[2]) * MARGIN:.1f}",
        constraints,
    )


def route(
    board: Board, platform: Any, work: Path, seed: int, log: Log = lambda line: None
) -> Routed:
    """Place and route what ``synthesise`` made.

    Raises
    ------
    ToolError : a tool is missing or failed; a clock that is missed is no error here
    """
    log(f"{board.title}: place and route, seed {seed}, some minutes")
    part = platform.device
    size = {"12F": "12k", "25F": "25k", "45F": "45k", "85F": "85k"}[part[-3:]]
    family = {"LFE5U": "", "LFE5UM": "um-", "LFE5UM5G": "um5g-"}[part.split("-")[0]]
    report = f"report-{seed}.json"
    (work / report).unlink(missing_ok=True)
    options = [
        f"--{family}{size}", "--package", _PACKAGES[platform.package], "--speed", platform.speed,
        "--json", "top.json", "--lpf", "top.lpf", "--textcfg", f"top-{seed}.config",
        "--seed", str(seed), "--report", report, "--timing-allow-fail", *_PLACER,
    ]  # fmt: skip
    tools.run(tools.NEXTPNR_ECP5, options, work, f"route-{seed}.log")
    return read_report(board, part, seed, (work / report).read_text())


def read_report(board: Board, part: str, seed: int, text: str) -> Routed:
    """What nextpnr's report says of the gateware's clock, and of cells.

    Raises
    ------
    ToolError : it is not such a report, or does not have the clock
    """
    clock = board.clock_hz / 1e6
    asked = clock * MARGIN
    try:
        report = json.loads(text)
        # There may be a second one: in front of the gate behind a PLL.
        fmax = min(
            found["achieved"]
            for found in report["fmax"].values()
            if abs(found["constraint"] - asked) < asked / 1000
        )
        cells = report["utilization"]
        counts = {
            name: (int(cells[cell]["used"]), int(cells[cell]["available"]))
            for name, cell in _CELLS.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(
            f"nextpnr's report cannot be read, or has no clock of {asked:g} MHz: {error!r}"
        ) from None
    memory = board.sdram or f"block RAM, {1 << board.memory_log2 - 10} KiB"
    return Routed(
        board.name, part, board.lanes, memory, clock, round(asked, 2), seed,
        round(fmax, 2), round(1e3 / clock - 1e3 / fmax, 3), **counts,
    )  # fmt: skip


def pack(work: Path, seed: int) -> bytes:
    """The bitstream of what ``route`` made."""
    name = f"top-{seed}.bit"
    options = ["--compress", "--input", f"top-{seed}.config", "--bit", name]
    tools.run(tools.ECPPACK, options, work, f"pack-{seed}.log")
    return (work / name).read_bytes()


def build(
    board: Board, seed: int, build_dir: Path, log: Log = lambda line: None
) -> tuple[Path, Routed]:
    """Everything but packing: the directory that ``pack`` needs, and what place and route said.

    Parameters
    ----------
    build_dir : where intermediate files and logs stay; not below /tmp, which the tools do not see
    log : called with a line before each step

    Raises
    ------
    ToolError : a tool is missing or failed
    """
    work = build_dir / board.name
    platform = synthesise(board, work, log)
    return work, route(board, platform, work, seed, log)


def source_digest(board: Board) -> int:
    """32 bits that name the gateware: a digest of all that it is made from."""
    sources = [
        *sorted(Path(fmzip_hw.__file__).parent.glob("*.py")),
        *sorted(Path(__file__).parent.glob("*.py")),
        *(Path(fmzip.__file__).parent / f"{name}.py" for name in _TABLES),
    ]
    sha = hashlib.sha256(board.name.encode())
    for path in sources:
        sha.update(path.read_bytes())
    return int.from_bytes(sha.digest()[:4], "big")


def tool_versions() -> dict[str, str]:
    """Versions of what figures and bitstreams depend on."""
    return tools.tool_versions(tools.YOSYS, tools.NEXTPNR_ECP5, "amaranth-boards")
