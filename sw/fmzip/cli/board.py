"""Commands that work with gateware: on a board, or on the way to one."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import check_pair, check_writable, codec_called, say_what_is_slow
from fmzip.cli.options import Images, Model, Weights
from fmzip.codecs import CODECS, PROJECTION_CODECS
from fmzip.files import write_atomic


@app.command()
def hil(
    model: Model = None,
    weights: Weights = None,
    images: Images = None,
    limit: Annotated[int, typer.Option(min=1, help="pictures")] = 4,
    codec: Annotated[
        str,
        typer.Option(help=f"{', '.join((*CODECS, *PROJECTION_CODECS))} or a file CODEC.toml"),
    ] = "dctcm",
    step: Annotated[
        float, typer.Option(help="quantisation step in standard deviations of the map")
    ] = 0.25,
    port: Annotated[
        str, typer.Option(help="vboard: or a serial device or pyserial URL")
    ] = "vboard:",
    calibration: Annotated[int, typer.Option(min=1, help="pictures that scales are made on")] = 32,
    meter: Annotated[
        str | None,
        typer.Option(
            help="power meter: simulated, ppk2:PORT:VOLTS, joulescope or ina226:BUS:ADDRESS:OHM"
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write the results there, too")
    ] = None,
) -> None:
    """Stream a network's stored maps through a board, and compare every byte."""
    if Path(codec).suffix != ".toml" and codec not in PROJECTION_CODECS:
        codec_called(codec)
    check_writable(json_file)
    check_pair(weights, json_file)
    say_what_is_slow()
    from rich.console import Console

    from fmzip.experiments.hil import HilConfig, run
    from fmzip.experiments.provenance import provenance
    from fmzip.experiments.show import hil_lines, hil_table, progress_bar

    config = HilConfig(model, weights, images, limit, codec, step, port, calibration, meter)
    with progress_bar() as report:
        result = run(config, report)
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    console.print(hil_table(result))
    for line in hil_lines(result):
        console.print(line, soft_wrap=True, highlight=False)
    if json_file is not None:
        found = {**result.json(), "provenance": provenance()}
        write_atomic(json_file, (json.dumps(found, indent=2) + "\n").encode())


@app.command()
def area(
    component: Annotated[
        Literal[
            "encoder",
            "decoder",
            "fmz-encoder",
            "fmz-decoder",
            "pcavlc-encoder",
            "pcavlc-decoder",
            "projection",
            "huffman",
            "gf2-encoder",
            "gf2-decoder",
            "raster-to-wire",
            "wire-to-raster",
            "all",
        ],
        typer.Option(help="what to build"),
    ] = "all",
    lanes: Annotated[
        int, typer.Option(help="values per beat: 2, 4 or 8; only dctcm and fmz have fewer")
    ] = 8,
    seeds: Annotated[str, typer.Option(metavar="N,N...", help="of the placer")] = "1,2,3",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write the results there, too")
    ] = None,
) -> None:
    """Size and speed of the codecs' gateware on an ECP5-85F, speed grade 6, out of context."""
    numbers = _seeds(seeds)
    check_writable(json_file)
    say_what_is_slow()
    import logging
    from dataclasses import asdict

    from rich.console import Console

    from fmzip.experiments.provenance import provenance
    from fmzip.experiments.show import area_table
    from fmzip_boards.area import components, measure, tool_versions
    from fmzip_sim.emit import build_root

    log = logging.getLogger("fmzip").info
    rows = []
    for name in components(lanes) if component == "all" else (component,):
        rows += measure(name, numbers, lanes=lanes, build_dir=build_root() / "area", log=log)
    console = Console()
    console.print(area_table(rows))
    tools = ", ".join(f"{name} {number}" for name, number in tool_versions().items())
    console.print(f"after place and route, modelled by nextpnr's timing analysis; {tools}")
    if json_file is not None:
        found = {"rows": [asdict(row) for row in rows], "provenance": provenance()}
        write_atomic(json_file, (json.dumps(found, indent=2) + "\n").encode())


@app.command()
def up5k(
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write the results there, too")
    ] = None,
) -> None:
    """Size of the parts of a system of 2 lanes on an iCE40UP5K, which they do not fit."""
    check_writable(json_file)
    say_what_is_slow()
    import logging
    from dataclasses import asdict

    from fmzip.experiments.provenance import provenance
    from fmzip_boards import tools
    from fmzip_boards.up5k import PARTS, measure
    from fmzip_sim.emit import build_root

    log = logging.getLogger("fmzip").info
    rows = [measure(name, build_root() / "up5k", log) for name in PARTS]
    for row in rows:
        print(
            f"{row.part:<26}{row.lc:>6,} of {row.available:,} cells, {row.ebr} block RAMs, "
            f"{row.dsp} multipliers"
        )
    if json_file is not None:
        made = tools.tool_versions(tools.YOSYS, tools.NEXTPNR_ICE40)
        found = {"rows": [asdict(row) for row in rows], "tools": made, "provenance": provenance()}
        write_atomic(json_file, (json.dumps(found, indent=2) + "\n").encode())


def _seeds(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise typer.BadParameter(f"{text!r} is not numbers such as 1,2,3", param_hint="--seeds")
    return [int(part) for part in parts]
