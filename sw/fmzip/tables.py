"""Tables of the coder RANS: which statistic a context has, and how often its tokens occur.

Made once for a layer of a network, on calibration pictures, and loaded like its weights. See
``docs/format.md``, 10.4 to 10.6. Standard library only.
"""

from dataclasses import dataclass
from zlib import crc32

from fmzip.errors import FormatError
from fmzip.format import CONTEXTS, ESCAPE, PLANES, STATISTICS_MAX, TOKENS, TOTAL_BITS


@dataclass(frozen=True)
class Tables:
    """What is needed besides a frame to decode it.

    Parameters
    ----------
    contexts : statistic of each context, ``CONTEXTS`` for each plane
    frequencies : of all tokens, ``TOKENS`` for each statistic, in units of 1 / 256

    Raises
    ------
    FormatError : sizes that do not fit, an unknown statistic, frequencies that do not add up, or
        a frequency of 0 where there must be none
    TypeError : not bytes at all
    """

    contexts: bytes
    frequencies: bytes

    def __post_init__(self) -> None:
        for name in ("contexts", "frequencies"):
            object.__setattr__(self, name, bytes(memoryview(getattr(self, name))))
        planes, rest = divmod(len(self.contexts), CONTEXTS)
        if rest or planes not in PLANES.values():
            raise FormatError(f"tables: {len(self.contexts)} contexts, expected 512, 1024 or 2048")
        statistics, rest = divmod(len(self.frequencies), TOKENS)
        if rest or not 1 <= statistics <= STATISTICS_MAX:
            raise FormatError(
                f"tables: {len(self.frequencies)} frequencies, expected {TOKENS} for each of "
                f"1 to {STATISTICS_MAX} statistics"
            )
        if max(self.contexts) >= statistics:
            raise FormatError(
                f"tables: a context has statistic {max(self.contexts)}, there are {statistics}"
            )
        for k in range(statistics):
            of = self.frequencies_of(k)
            if sum(of) != 1 << TOTAL_BITS:
                raise FormatError(f"tables: frequencies of statistic {k} add up to {sum(of)}")
            if not of[ESCAPE] or not all(of[: self.limit(k) + 1]):
                raise FormatError(f"tables: statistic {k} has a frequency of 0 below its limit")

    @property
    def planes(self) -> int:
        return len(self.contexts) // CONTEXTS

    @property
    def statistics(self) -> int:
        return len(self.frequencies) // TOKENS

    @property
    def id(self) -> int:
        """16 bits that stand for these tables in a frame's head."""
        return crc32(self.to_bytes()) & 0xFFFF

    def frequencies_of(self, statistic: int) -> bytes:
        """Frequencies of the tokens of a statistic."""
        return self.frequencies[statistic * TOKENS : (statistic + 1) * TOKENS]

    def limit(self, statistic: int) -> int:
        """Highest token of a statistic that is no escape; 0 if there is none."""
        of = self.frequencies_of(statistic)
        return max((u for u in range(ESCAPE) if of[u]), default=0)

    def to_bytes(self) -> bytes:
        """The string that is loaded: contexts, then frequencies."""
        return self.contexts + self.frequencies


def parse_tables(data: bytes, planes: int) -> Tables:
    """Tables of the string that ``Tables.to_bytes`` gives.

    Raises
    ------
    FormatError : see ``Tables``
    """
    size = CONTEXTS * planes
    if len(data) < size:
        raise FormatError(f"tables: {len(data)} bytes, {planes} planes have {size} contexts")
    return Tables(data[:size], data[size:])


@dataclass(frozen=True)
class Diffusion:
    """How the encoder rounds; a decoder need not know. See ``docs/format.md``, 10.2.

    Parameters
    ----------
    rounding : 0 to 255, in 1/256 of a step, added before rounding down; 128 is to the nearest
    left, above, corner : weights of the errors of the neighbours, 0 to 15, in 1/16; the error of
        ``corner`` is subtracted. All 0 except with the transform bypass

    Raises
    ------
    ValueError : a parameter is outside its range
    TypeError : a parameter is not an integer
    """

    rounding: int = 128
    left: int = 0
    above: int = 0
    corner: int = 0

    def __post_init__(self) -> None:
        for name, limit in (("rounding", 255), ("left", 15), ("above", 15), ("corner", 15)):
            value = getattr(self, name)
            if not isinstance(value, int):
                raise TypeError(f"{name} must be an integer, not {value!r}")
            if not 0 <= value <= limit:
                raise ValueError(f"{name} must be 0 to {limit}, not {value}")

    @property
    def spreads(self) -> bool:
        """True where errors are passed on."""
        return bool(self.left or self.above or self.corner)


@dataclass(frozen=True)
class Coding:
    """What the coder RANS needs beside a frame's configuration.

    Parameters
    ----------
    tables : for encoder and decoder
    diffusion : for the encoder
    """

    tables: Tables
    diffusion: Diffusion = Diffusion()
