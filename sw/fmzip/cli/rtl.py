"""The command `fmzip rtl`: encoder and decoder as cores for another design."""

from pathlib import Path
from typing import Annotated

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import say_what_is_slow
from fmzip.errors import FmzipError


@app.command()
def rtl(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="new folder")],
    codec: Annotated[
        str, typer.Option(help="dctcm, which has the coder of dctcm-width, too, or fmz")
    ] = "dctcm",
    lanes: Annotated[int, typer.Option(help="values per beat: 2, 4 or 8")] = 8,
    axi: Annotated[
        bool, typer.Option("--axi", help="AXI4-Stream and AXI4-Lite in place of valid/ready")
    ] = False,
) -> None:
    """Write encoder and decoder as Verilog, with bench, driver and documents."""
    import logging

    try:
        from fmzip_sim.ip.export import export
    except ModuleNotFoundError as error:
        raise FmzipError(
            f"{error.name} is not installed: pip install 'fmzip[hw]' brings it"
        ) from None

    say_what_is_slow()
    files = export(out, codec, lanes, axi=axi, log=logging.getLogger("fmzip").info)
    print(f"{out}: {len(files)} files; try make -C {out}/tb icarus")
