"""Runs that take minutes: a bar, and what an interrupt leaves."""

from collections.abc import Callable
from typing import TypeVar

from fmzip.errors import FmzipError

Result = TypeVar("Result")


def with_bar(run: Callable[[Callable[[str, int, int], None]], Result], kept: str) -> Result:
    """Run with a bar of steps on stderr.

    Parameters
    ----------
    run : takes what reports its progress
    kept : what an interrupted run keeps

    Raises
    ------
    FmzipError : it was interrupted
    """
    from fmzip.experiments.progress import bar

    try:
        with bar("steps") as (progress, task):

            def report(what: str, done: int, total: int) -> None:
                progress.update(task, description=what, completed=done, total=total or None)

            return run(report)
    except KeyboardInterrupt:
        raise FmzipError(
            f"interrupted; finished {kept} are kept, and the same command goes on behind them"
        ) from None
