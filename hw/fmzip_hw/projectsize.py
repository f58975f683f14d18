"""How large the gateware of the coder HUFFMAN is built."""

from dataclasses import dataclass

from amaranth.utils import exact_log2

from fmzip.regs import PROJECTION_VALUES


@dataclass(frozen=True)
class ProjectionSize:
    """Sizes that encoder and decoder have in common.

    Parameters
    ----------
    multipliers : of either engine: 8, 16, 32 or 64
    entries : that the matrices of either direction have, all pages together; a power of two
    values : of a position, and components, at most; a power of two
    symbols : that the encoder holds, a power of two; a tile may have 15/16 of it
    lanes : symbols that the encoder codes in a cycle: 1, 2, 4 or 8

    Raises
    ------
    ValueError : a size that cannot be built
    """

    multipliers: int = 8
    entries: int = 32768
    values: int = 512
    symbols: int = 16384
    lanes: int = 1

    def __post_init__(self) -> None:
        for name, known in (("multipliers", (8, 16, 32, 64)), ("lanes", (1, 2, 4, 8))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, not {getattr(self, name)!r}")
        for name in ("entries", "values", "symbols"):
            exact_log2(getattr(self, name))
        if not self.multipliers <= self.values <= PROJECTION_VALUES:
            raise ValueError(
                f"values must be {self.multipliers} to {PROJECTION_VALUES}, not {self.values}"
            )
