"""Values out of JSON that anybody may have written or damaged, with errors that say where."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from fmzip.errors import FmzipError


class Fields:
    """One object of a JSON document, and where it is in there.

    Parameters
    ----------
    found : what should be an object
    where : its place, for messages, such as "codecs.zvc"
    """

    def __init__(self, found: object, where: str) -> None:
        if not isinstance(found, Mapping):
            raise FmzipError(f"{where} is not an object")
        self._found = found
        self._where = where

    def _at(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key

    def get(self, key: str) -> Any:
        if key not in self._found:
            raise FmzipError(f"{self._at(key)} is missing")
        return self._found[key]

    def number(self, key: str) -> float:
        """A finite number; FmzipError if it is missing or something else."""
        value = _finite(self.get(key))
        if value is None:
            raise FmzipError(f"{self._at(key)} is not a number: {_short(self.get(key))}")
        return value

    def maybe(self, key: str) -> float | None:
        """A number that may be missing or null."""
        return None if self._found.get(key) is None else self.number(key)

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str):
            raise FmzipError(f"{self._at(key)} is not a text: {_short(value)}")
        return value

    def flag(self, key: str) -> bool:
        value = self.get(key)
        if not isinstance(value, bool):
            raise FmzipError(f"{self._at(key)} is not true or false: {_short(value)}")
        return value

    def table(self, key: str) -> "Fields":
        return Fields(self.get(key), self._at(key))

    def items(self, key: str) -> Iterator[tuple[str, "Fields"]]:
        """The objects in an object, by name."""
        found = self.get(key)
        if not isinstance(found, Mapping):
            raise FmzipError(f"{self._at(key)} is not an object")
        for name, value in found.items():
            yield str(name), Fields(value, f"{self._at(key)}.{name}")

    def rows(self, key: str) -> list["Fields"]:
        """The objects in a list."""
        found = self.get(key)
        if not isinstance(found, list):
            raise FmzipError(f"{self._at(key)} is not a list")
        return [Fields(value, f"{self._at(key)}[{k}]") for k, value in enumerate(found)]

    def numbers(self, key: str) -> tuple[float, ...]:
        found = self.get(key)
        values = [_finite(value) for value in found] if isinstance(found, list) else [None]
        if None in values:
            raise FmzipError(f"{self._at(key)} is not a list of numbers: {_short(found)}")
        return tuple(value for value in values if value is not None)

    def raw(self) -> dict[str, Any]:
        return dict(self._found)

    def __contains__(self, key: str) -> bool:
        return self._found.get(key) is not None


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def flatten(found: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested objects, by their path with dots; lists are leaves."""
    for key, value in found.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from flatten(value, name)
        else:
            yield name, value
