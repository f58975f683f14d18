"""Commands for those who work on this repository."""

from typing import Annotated

import typer

from fmzip.cli.app import app
from fmzip.errors import FmzipError


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="change nothing, fail if stale")] = False,
) -> None:
    """Regenerate the generated parts of the documents of this checkout."""
    from fmzip.docgen import update

    stale = update(write=not check)
    if check and stale:
        raise FmzipError(f"stale, run fmzip docs: {', '.join(stale)}")
    for name in stale:
        print(f"{name}: updated")
