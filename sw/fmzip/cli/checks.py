"""What commands share: options that are looked at before anything slow is done."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from fmzip.codecs import Codec, codec_of
from fmzip.errors import FmzipError


def say_what_is_slow() -> None:
    """Messages of slow steps, such as a compilation, on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logger = logging.getLogger("fmzip")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def check_writable(path: Path | None) -> None:
    """Find out before a long run, not behind it, that its results could not be written."""
    if path is None:
        return
    if (path.exists() and not path.is_file()) or not path.absolute().parent.is_dir():
        raise FmzipError(f"{path}: not a file in an existing directory")
    try:
        tempfile.TemporaryFile(dir=path.absolute().parent).close()
    except OSError as error:
        raise FmzipError(f"{path}: cannot be written: {error.strerror}") from None


def codec_called(name: str) -> Codec:
    try:
        return codec_of(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--codec") from None


def check_pair(source: Path | None, target: Path | None) -> None:
    """Refuse to overwrite the input."""
    if source is None or target is None:
        return
    if target.exists() and source.exists() and target.samefile(source):
        raise FmzipError(f"{target}: is the input itself; choose another file for the output")


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Put the file's name in front of what is wrong with its content."""
    try:
        yield
    except (FmzipError, ValueError, TypeError) as error:
        raise FmzipError(f"{path}: {error}") from None


def numbers_of(text: str | None, option: str) -> tuple[float, ...] | None:
    """Numbers of an option such as ``0.1,0.25``; None where it is not given."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not numbers such as 0.1,0.25,0.5", param_hint=option
        ) from None
