"""The command line: thin commands that call functions elsewhere.

Foreseen errors end in one line on stderr and exit code 1, usage errors in 2, an interrupt in 130.
What is slow to import is imported in the command that needs it, so that ``--help`` is fast.
"""

from fmzip.cli import (  # noqa: F401 (importing them adds their commands)
    allocate,
    bitstream,
    board,
    documents,
    energy,
    formal,
    frames,
    golden,
    graph,
    measure,
    report,
    rtl,
    tables,
    train_gf2,
    train_projection,
)
from fmzip.cli.app import app, main

__all__ = ["app", "main"]
