"""Loading a bitstream into a board."""

import subprocess
from pathlib import Path

from fmzip.errors import ToolError
from fmzip_boards import tools
from fmzip_boards.board import Board

LOADER = "openFPGALoader"
HOW_TO_GET = "apt-get install openfpgaloader brings it"
_TIMEOUT_S = 300


def command(board: Board, bitstream: Path, *, permanent: bool) -> list[str]:
    """What is run; ToolError if the loader is missing."""
    path = tools.find(LOADER)
    if path is None:
        raise ToolError(f"{LOADER} not found: {HOW_TO_GET}")
    return [path, *board.loader, "--write-flash" if permanent else "--write-sram", str(bitstream)]


def load(board: Board, bitstream: Path, *, permanent: bool = False) -> None:
    """Load a bitstream until the next power-up, or into the board's flash.

    Raises
    ------
    ToolError : the loader is missing, or did not succeed; its last line says why
    """
    try:
        done = subprocess.run(
            command(board, bitstream, permanent=permanent), capture_output=True, text=True,
            timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ToolError(f"{LOADER}: no result after {_TIMEOUT_S} s") from None
    except OSError as error:
        raise ToolError(f"{LOADER} cannot be run: {error}") from None
    if done.returncode:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise ToolError(f"{LOADER} failed ({done.returncode}): {' | '.join(said[-2:])}")
