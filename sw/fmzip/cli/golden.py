"""Commands on golden vectors."""

from typing import Annotated

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import say_what_is_slow

golden = typer.Typer(help="Golden vectors: what files of old versions look like.")
app.add_typer(golden, name="golden", no_args_is_help=True)


@golden.command()
def check(
    port: Annotated[
        str, typer.Option(help="vboard: or a serial device or pyserial URL")
    ] = "vboard:",
) -> None:
    """Send the golden vectors of all versions through a board, and compare every byte."""
    say_what_is_slow()
    from fmzip.experiments.golden import check as check_golden

    found = check_golden(port)
    for name, why in found.skipped.items():
        print(f"{name}: not on this board: {why}")
    print(
        f"{len(found.vectors)} vectors are met: {found.frame_bytes:,} bytes of frames, "
        f"{found.values:,} values ({found.tier})"
    )


@golden.command()
def make(
    version: Annotated[str, typer.Argument(help="a new folder of tests/golden, such as v3")],
) -> None:
    """Make all vectors anew in the folder of a new version; those that are there never change."""
    from fmzip.experiments.golden import make as make_golden

    for name in make_golden(version):
        print(f"{name}: written")
