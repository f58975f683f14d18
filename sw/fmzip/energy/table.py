"""Reading of a part's JSON file: every value is asked for by name and type, and nothing is left."""

import json
import math
from collections.abc import Iterable
from importlib.resources.abc import Traversable
from typing import Any, NoReturn

from fmzip.errors import FmzipError


class Table:
    """One JSON object of a file; what it lacks or has too much of is an error that names both.

    Parameters
    ----------
    file : name of the file, for errors
    data : the parsed object
    prefix : where the object is in the file, for errors
    """

    def __init__(self, file: str, data: Any, prefix: str = "") -> None:
        self.file = file
        self.prefix = prefix
        if not isinstance(data, dict):
            self.fail("", f"must be an object, not {data!r}")
        self._data = dict(data)

    def text(self, key: str) -> str:
        value = self._take(key)
        if not isinstance(value, str) or not value:
            self.fail(key, f"must be a text, not {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._take(key)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            self.fail(key, f"must be a list of texts, not {value!r}")
        return tuple(value)

    def flag(self, key: str) -> bool:
        value = self._take(key)
        if not isinstance(value, bool):
            self.fail(key, f"must be true or false, not {value!r}")
        return value

    def integer(self, key: str) -> int:
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            self.fail(key, f"must be a positive integer, not {value!r}")
        return value

    def number(self, key: str) -> float:
        value = self._take(key)
        # Python's JSON reader also takes NaN and Infinity.
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not 0 < value < math.inf
        ):
            self.fail(key, f"must be a positive number, not {value!r}")
        return float(value)

    def table(self, key: str) -> "Table":
        return Table(self.file, self._take(key), f"{self.prefix}{key}.")

    def numbers(self, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, float]:
        """All values of an object of numbers; optional ones are left out where they are null."""
        out = {key: self.number(key) for key in required}
        for key in optional:
            if self._data.get(key, 0) is None:
                del self._data[key]
            else:
                out[key] = self.number(key)
        self.end()
        return out

    def end(self) -> None:
        """Fail if there is a value that nobody asked for: a misspelt name, most likely."""
        for key in self._data:
            self.fail(key, "is not a known field")

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raise the error that says what is wrong with this field."""
        field = f"{self.prefix}{key}".rstrip(".")
        raise FmzipError(f"{self.file}: {field + ' ' if field else ''}{problem}")

    def _take(self, key: str) -> Any:
        if key not in self._data:
            self.fail(key, "is missing")
        return self._data.pop(key)


def read_table(file: Traversable) -> Table:
    """The object that a JSON file holds."""
    try:
        data = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FmzipError(f"{file.name}: not readable as JSON: {error}") from error
    return Table(file.name, data)
