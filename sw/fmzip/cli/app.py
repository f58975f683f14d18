"""The command line's application, its entry point, and what ends in an error line."""

import sys
from typing import Annotated

import typer

from fmzip import __version__
from fmzip.errors import FmzipError
from fmzip.format import VERSION

app = typer.Typer(
    name="fmzip",
    help="Compress feature maps as the fmzip gateware does, bit for bit.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help, without the time it takes to import rich
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point of the script ``fmzip``."""
    try:
        app(prog_name="fmzip")
    except KeyboardInterrupt:
        sys.exit(130)
    except MemoryError as error:
        _fail(f"not enough memory: {error}")
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (FmzipError, ValueError, TypeError) as error:
        _fail(str(error))


def _fail(text: str) -> None:
    print(f"fmzip: error: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fmzip {__version__}, frame format {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass
