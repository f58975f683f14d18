"""A network that a function in a user's own Python file makes."""

import contextlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from torch import nn

from fmzip.errors import FmzipError
from fmzip_models.maps import first_line


def load(path: Path, name: str) -> tuple[nn.Module, object]:
    """The network that ``name`` in a Python file stands for, in evaluation mode, and ``name``.

    The file runs as it is, with its folder first on ``sys.path``; what it prints goes to stderr.

    Parameters
    ----------
    path : the file
    name : of a module, or of something that returns one when it is called without arguments

    Raises
    ------
    FmzipError : there is no such file or name, the user's code fails, or makes something else
    """
    if not path.is_file():
        raise FmzipError(f"{path}: no such file; expected Python code")
    with _surroundings(path.parent):
        file = _run(path)
        if not hasattr(file, name):
            raise FmzipError(f"{path}: has no {name!r}{_suggestion(file)}")
        made = found = getattr(file, name)
        if not isinstance(found, nn.Module):
            if not callable(found):
                raise FmzipError(f"{path}: {name} cannot be called, nor is it a torch.nn.Module")
            try:
                made = found()
            except (Exception, SystemExit) as error:
                raise FmzipError(f"{path}: {name}() failed: {_says(error)}") from None
    if not isinstance(made, nn.Module):
        raise FmzipError(
            f"{path}: {name}() returned {type(made).__name__}, expected a torch.nn.Module"
        )
    return made.float().cpu().eval(), found


@contextlib.contextmanager
def _surroundings(folder: Path) -> Iterator[None]:
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        with contextlib.suppress(ValueError):  # the user's code may have taken it out
            sys.path.remove(entry)


def _run(path: Path) -> ModuleType:
    # A name that cannot hide another module.
    spec = importlib.util.spec_from_file_location(f"_fmzip_user_{path.stem}", path.resolve())
    if spec is None or spec.loader is None:
        raise FmzipError(f"{path}: not a Python file")
    file = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = file  # dataclasses and pickles look for it there
    try:
        spec.loader.exec_module(file)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise FmzipError(f"{path}: cannot be imported: {_says(error)}") from None
    return file


def _says(error: BaseException) -> str:
    text = first_line(error)
    name = type(error).__name__
    return name if text == name else f"{name}: {text}"


def _suggestion(file: ModuleType) -> str:
    """The functions and networks that a file defines itself."""
    own = [
        name
        for name, value in vars(file).items()
        if not name.startswith("_")
        and (
            isinstance(value, nn.Module)
            or (inspect.isfunction(value) and value.__module__ == file.__name__)
        )
    ]
    return f"; it has {', '.join(own[:8])}" if own else ""
