"""Commands on the way to a real board: a bitstream, loading it, and what that needs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import check_writable, say_what_is_slow
from fmzip.errors import FmzipError, ToolError
from fmzip.files import write_atomic

if TYPE_CHECKING:
    from fmzip_boards.board import Board
    from fmzip_boards.build import Routed


@app.command()
def bitstream(
    board: Annotated[str, typer.Argument(metavar="BOARD", help="such as ulx3s-85f; or list")],
    seed: Annotated[int, typer.Option(min=0, help="of the placer")] = 1,
    tries: Annotated[
        int, typer.Option(min=1, help="seeds to try, this one and those behind it, for the clock")
    ] = 3,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="bitstream to write; BOARD.bit")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="put the figures there, beside other seeds'"),
    ] = None,
) -> None:
    """Build a board's bitstream; takes some minutes."""
    import logging

    from fmzip_boards.catalogue import BOARDS

    if board == "list":
        for known in BOARDS.values():
            print(f"{known.name:<16}{known.title}. {known.note}")
        return
    chosen = _board(board)
    target = Path(f"{board}.bit") if out is None else out
    check_writable(target)
    check_writable(json_file)
    say_what_is_slow()
    from fmzip.experiments.provenance import provenance
    from fmzip_boards.build import build, pack
    from fmzip_sim.emit import build_root

    commit = provenance().get("commit")  # not what it will be in some minutes
    log = logging.getLogger("fmzip").info
    for number in range(seed, seed + tries):
        work, routed = build(chosen, number, build_root() / "boards", log)
        if json_file is not None:
            _note(json_file, routed, commit)
        for line in _lines(chosen, routed):
            print(line)
        if routed.met:
            break
    else:
        seeds = f"seed {seed}" if tries == 1 else f"seeds {seed} to {number}"
        raise ToolError(
            f"{chosen.title}, {seeds}: {routed.fmax_mhz:g} MHz in the last is less than the "
            f"{routed.clock_mhz:g} that it needs, so no bitstream: another --seed may do"
        )
    data = pack(work, number)
    write_atomic(target, data)
    print(f"{target}: {len(data):,} bytes")


def _board(name: str) -> "Board":
    from fmzip_boards.catalogue import board_of

    try:
        return board_of(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="BOARD") from None


def _lines(board: "Board", routed: "Routed") -> list[str]:
    cells = ", ".join(
        f"{used:,} of {there:,} {name}"
        for name, (used, there) in (
            ("LUT", routed.lut),
            ("FF", routed.ff),
            ("EBR", routed.ebr),
            ("DSP", routed.dsp),
        )
    )
    return [
        f"{board.title} ({routed.part}), {routed.lanes} lanes, {routed.memory}, seed {routed.seed}",
        f"{routed.fmax_mhz:.1f} MHz, {routed.clock_mhz:g} needed: {routed.slack_ns:.2f} ns left "
        "(modelled by nextpnr's timing analysis)",
        cells,
        board.note,
    ]


def _note(path: Path, routed: "Routed", commit: str | None) -> None:
    """Put a run's figures into a file with those of other seeds."""
    from dataclasses import asdict

    from fmzip_boards.build import tool_versions

    rows: list[dict[str, Any]] = []
    if path.exists():
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        except (ValueError, KeyError, TypeError):
            raise FmzipError(f"{path}: not a file of fmzip bitstream --json") from None
    rows = [row for row in rows if (row["board"], row["seed"]) != (routed.board, routed.seed)]
    made = {"tools": tool_versions(), "commit": commit}
    rows.append({**asdict(routed), **made})
    rows.sort(key=lambda row: (row["board"], row["seed"]))
    write_atomic(path, (json.dumps({"rows": rows}, indent=2) + "\n").encode())


@app.command()
def flash(
    board: Annotated[str, typer.Argument(metavar="BOARD", help="such as ulx3s-85f")],
    source: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="bitstream; BOARD.bit")
    ] = None,
    permanent: Annotated[
        bool, typer.Option("--permanent", help="into the flash, not only until power is off")
    ] = False,
) -> None:
    """Load a bitstream into a board."""
    chosen = _board(board)
    from fmzip_boards.flash import load

    path = Path(f"{board}.bit") if source is None else source
    if not path.is_file():
        raise FmzipError(f"{path}: no such file; fmzip bitstream {board} makes it")
    load(chosen, path, permanent=permanent)
    print(f"{chosen.title}: loaded {path}")


@app.command()
def doctor() -> None:
    """Say what is installed, what is missing and how to get it, and which ports are boards."""
    from serial.tools.list_ports import comports

    try:
        from fmzip_boards.doctor import boards_at, findings
    except ModuleNotFoundError as error:
        raise FmzipError(
            f"{error.name} is not installed: pip install 'fmzip[hw]' brings it"
        ) from None

    for found in findings():
        state = found.found or "missing"
        how = "" if found.found else f"; {found.remedy}"
        print(f"{found.name:<22}{state:<22}{found.purpose}{how}")
    ports = boards_at(comports())
    for device, description, alike in ports:
        which = f"could be {', '.join(alike)}" if alike else "no board that is known here"
        print(f"{device:<22}{description:<22}{which}")
    if not ports:
        print("no serial ports on USB; vboard: is always there")
