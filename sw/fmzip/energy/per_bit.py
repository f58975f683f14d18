"""Memories of which only an energy per bit is known, one JSON file each in ``per_bit/``.

Such a figure has neither rows nor time: it serves for the incremental energy of traffic, and not
for that of a device over a frame time.
"""

from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from fmzip.energy.table import read_table
from fmzip.errors import FmzipError


@dataclass(frozen=True, kw_only=True)
class PerBit:
    """One memory, by what others say a bit costs.

    Members
    -------
    name, kind : e.g. "DDR4-3200-x16", "DDR4"
    read_pj_per_bit, write_pj_per_bit : of a bit on the bus
    low_pj_per_bit, high_pj_per_bit : between which other sources lie
    scope : what the figure contains
    source, verified, notes : where it is from; whether that was read at its origin
    """

    name: str
    kind: str
    read_pj_per_bit: float
    write_pj_per_bit: float
    low_pj_per_bit: float
    high_pj_per_bit: float
    scope: str
    source: str
    verified: bool
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("read_pj_per_bit", "write_pj_per_bit"):
            if not 0 < self.low_pj_per_bit <= getattr(self, name) <= self.high_pj_per_bit:
                raise ValueError(f"{name} must lie between low_pj_per_bit and high_pj_per_bit")

    def traffic_pj(self, read_bytes: int, write_bytes: int) -> float:
        """Energy of traffic, pJ."""
        return 8 * (self.read_pj_per_bit * read_bytes + self.write_pj_per_bit * write_bytes)


def per_bit_names() -> list[str]:
    """Names of the memories that ``load_per_bit`` knows."""
    files = (file.name for file in _folder().iterdir())
    return sorted(name.removesuffix(".json") for name in files if name.endswith(".json"))


def load_per_bit(name: str) -> PerBit:
    """A memory by its name, in upper or lower case; ValueError if there is none."""
    for known in per_bit_names():
        if known.lower() == name.lower():
            return read_per_bit(_folder() / f"{known}.json")
    raise ValueError(f"no memory {name!r}; known are {', '.join(per_bit_names())}")


def read_per_bit(file: Traversable) -> PerBit:
    """A memory from a file, such as a ``Path``, of the form of those in ``per_bit/``."""
    table = read_table(file)
    kind, scope, source = (table.text(key) for key in ("kind", "scope", "source"))
    read, write, low, high = (
        table.number(f"{key}_pj_per_bit") for key in ("read", "write", "low", "high")
    )
    verified, notes = table.flag("verified"), table.texts("notes")
    table.end()
    try:
        return PerBit(
            name=file.name.removesuffix(".json"),
            kind=kind,
            read_pj_per_bit=read,
            write_pj_per_bit=write,
            low_pj_per_bit=low,
            high_pj_per_bit=high,
            scope=scope,
            source=source,
            verified=verified,
            notes=notes,
        )
    except ValueError as error:
        raise FmzipError(f"{file.name}: {error}") from error


def _folder() -> Traversable:
    return resources.files("fmzip.energy") / "per_bit"
