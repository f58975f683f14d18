"""All boards by name."""

from fmzip_boards import ecpix5, icepi_zero, icesugar_pro, orangecrab, ulx3s
from fmzip_boards.board import Board

BOARDS = {
    board.name: board
    for module in (ulx3s, icesugar_pro, icepi_zero, ecpix5, orangecrab)
    for board in module.BOARDS
}


def board_of(name: str) -> Board:
    """The board of a name; ValueError if there is none."""
    if name not in BOARDS:
        raise ValueError(f"board must be one of {', '.join(BOARDS)}, not {name!r}")
    return BOARDS[name]
