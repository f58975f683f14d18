"""Components with one line changed: a proof that does not fail on them proves nothing."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any


def original(module: ModuleType) -> ModuleType:
    """The module as it is."""
    return module


def seeded(target: ModuleType, old: str, new: str) -> Callable[[ModuleType], Any]:
    """A function that returns modules as they are, but for ``target``, with ``old`` replaced.

    Raises
    ------
    ValueError : ``old`` is not exactly once in the module's source
    """
    source = inspect.getsource(target)
    if source.count(old) != 1:
        raise ValueError(f"{target.__name__}: {source.count(old)} times {old!r}, not once")
    changed = ModuleType(target.__name__)
    exec(compile(source.replace(old, new), f"{target.__name__} (seeded)", "exec"), vars(changed))

    def get(module: ModuleType) -> ModuleType:
        return changed if module is target else module

    return get
