"""Loops that depend on their own results, compiled where numba is installed.

A kernel is plain Python on integer arrays, and that is its definition: ``kernel.py_func`` where it
is compiled. Without numba it runs as it is, a hundred times slower. Tests compare both.
"""

import warnings
from collections.abc import Callable
from typing import Any

Kernel = Callable[..., Any]


def _compiler() -> Callable[[Kernel], Kernel]:
    try:
        import numba
    except ImportError:
        return lambda kernel: kernel

    def compile_(kernel: Kernel) -> Kernel:
        try:
            return numba.njit(kernel, cache=True, nogil=True)
        except RuntimeError:  # nowhere to keep what was compiled
            warnings.warn("numba has no directory for its cache", stacklevel=2)
            return numba.njit(kernel, nogil=True)

    return compile_


compiled = _compiler()
