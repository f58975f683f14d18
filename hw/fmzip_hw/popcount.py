"""How many of some bits are 1: full adders side by side, and one carry chain at the end."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Value

from fmzip_hw.pipeline import register

_LEVELS_PER_CYCLE = 2  # of full adders, between two registers


def count_ones(m: Module, bits: Sequence[Value]) -> tuple[Value, int]:
    """The number of ones, unsigned, and the cycles that it takes.

    A full adder is two LUT4. A tree of sums would be a carry chain for each, most of them of two
    or three bits, which fill slices badly and which a placer cannot spread.

    Parameters
    ----------
    bits : one bit each
    """
    columns = [list(bits)]  # by significance
    level, cycles = 0, 0
    while max(map(len, columns)) > 2:
        following: list[list[Value]] = [[] for _ in range(len(columns) + 1)]
        for k, column in enumerate(columns):
            whole = len(column) // 3 * 3
            for a, b, c in zip(*(column[n:whole:3] for n in range(3)), strict=True):
                following[k].append(a ^ b ^ c)
                following[k + 1].append((a & b) | (c & (a ^ b)))
            following[k] += column[whole:]
        columns = following if following[-1] else following[:-1]
        level += 1
        if level % _LEVELS_PER_CYCLE == 0:
            columns = [[register(m, bit) for bit in column] for column in columns]
            cycles += 1
    first, second = (
        Cat(column[k] if k < len(column) else Const(0, 1) for column in columns) for k in range(2)
    )
    size = len(bits).bit_length()
    return register(m, (first + second)[:size]), cycles + 1
