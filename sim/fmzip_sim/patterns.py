"""Stall patterns by name, so that a failing test says which one it was."""

import random
from collections.abc import Callable, Iterator
from itertools import cycle


def _random_pattern() -> Iterator[bool]:
    generator = random.Random(1)
    while True:
        yield generator.random() < 0.6


# Each pattern yields True in cycles in which the side is willing.
PATTERNS: dict[str, Callable[[], Iterator[bool]]] = {
    "never": lambda: cycle([True]),
    "alternate": lambda: cycle([True, False]),
    "random": _random_pattern,
    "bursts": lambda: cycle([True] * 24 + [False] * 24),
    "rare": lambda: cycle([False] * 8 + [True]),
    "late": lambda: cycle([False] * 400 + [True] * 400),
}
# A drain that is willing only when something is offered: it finds a valid that waits for ready.
SHY = "shy"
