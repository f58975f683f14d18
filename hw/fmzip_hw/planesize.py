"""How large the gateware of the coder GF2 is built."""

from dataclasses import dataclass

from amaranth.utils import exact_log2

from fmzip.format import BLOCK


@dataclass(frozen=True)
class PlaneSize:
    """Sizes that encoder and decoder have in common.

    Parameters
    ----------
    values : of a position at most, each pixel's rounded up to 8; a power of two
    stored : planes of a position at most, a power of two
    adders : integers that the decoder adds up in a cycle, a power of two

    Raises
    ------
    ValueError : a size that cannot be built
    """

    values: int = 64
    stored: int = 512
    adders: int = 64

    def __post_init__(self) -> None:
        for name, most in (("values", 256), ("stored", 1024), ("adders", 64)):
            exact_log2(getattr(self, name))
            if not BLOCK <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be {BLOCK} to {most}, not {getattr(self, name)}")
        if self.stored < self.adders:
            raise ValueError(f"stored must be {self.adders} at least, not {self.stored}")
