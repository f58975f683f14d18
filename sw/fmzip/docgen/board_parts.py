"""Generated parts of docs/boards.md: the boards, and what was built for them."""

from collections import defaultdict
from typing import Any

from fmzip.docgen.format_parts import table
from fmzip.docgen.result_parts import RESULTS, load_result
from fmzip.sdram import PARTS
from fmzip_boards.catalogue import BOARDS


def boards() -> str:
    """What is built for each board."""
    rows = []
    for board in BOARDS.values():
        if board.sdram is None:
            memory = f"{(1 << board.memory_log2) >> 10} KiB block RAM"
        else:
            memory = f"{PARTS[board.sdram].size_bytes >> 20} MiB SDRAM"
        rows.append((
            f"`{board.name}`", board.title, f"{board.clock_hz / 1e6:g}", board.lanes,
            memory, 1 << board.stage_log2, board.ring_blocks * 15 // 16,
            board.ring_slots * 15 // 16 if board.rans else "no `rans`",
            board.projection.multipliers if board.projection else "no `huffman`",
            board.planes.stored if board.planes else "no `gf2`", board.note,
        ))  # fmt: skip
    header = (
        "name", "board", "MHz", "lanes", "memory", "beats of the stage", "blocks of a tile",
        "slots of a tile", "multipliers of a projection",
        "stored planes of a position", "note",
    )  # fmt: skip
    return table(header, rows)


def board_figures() -> str:
    """Cells and clock of each board that was built, a line for all seeds of one build."""
    found: list[dict[str, Any]] = []
    for path in sorted(RESULTS.glob("board-*.json")):
        found += load_result(path.name)["rows"]
    if not found:
        return "None yet: `make boards` fills this table."
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        groups[row["board"], row["commit"]].append(row)
    lines = []
    for (board, commit), rows in groups.items():
        cells = [
            " / ".join(sorted({f"{row[kind][0]:,}" for row in rows})) + f" of {rows[0][kind][1]:,}"
            for kind in ("lut", "ff", "dsp", "ebr")
        ]
        lines.append((
            f"`{board}`", rows[0]["part"], rows[0]["lanes"], *cells,
            f"{rows[0]['clock_mhz']:g}", f"{rows[0]['asked_mhz']:g}",
            " / ".join(f"{row['fmax_mhz']:.1f}" for row in rows),
            " / ".join(f"{row['slack_ns']:.2f}" for row in rows),
            ", ".join(str(row["seed"]) for row in rows), commit,
        ))  # fmt: skip
    header = (
        "board", "part", "lanes", "LUT", "FF", "DSP", "EBR", "MHz needed", "MHz asked",
        "Fmax MHz", "slack ns", "seeds", "commit",
    )  # fmt: skip
    tools = ", ".join(sorted({
        f"{name} {number}" for row in found for name, number in row["tools"].items()
    }))  # fmt: skip
    return f"{table(header, lines)}\n\n{tools}."


def up5k() -> str:
    """A run of ``fmzip up5k``."""
    found = load_result("up5k.json")
    rows = [
        (
            row["part"],
            f"{row['lc']:,}",
            f"{row['lc'] / row['available']:.0%}",
            row["ebr"],
            row["dsp"],
        )
        for row in found["rows"]
    ]
    cells = found["rows"][0]["available"]
    header = ("part, 2 lanes", "logic cells", f"of {cells:,}", "block RAM", "DSP")
    tools = ", ".join(f"{name} {number}" for name, number in found["tools"].items())
    return f"{table(header, rows)}\n\nAfter packing, harness included; {tools}."
