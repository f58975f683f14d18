"""The coder RANS in the loop of a network: the reference's own integers and sizes, map by map.

The kernels of the reference let go of the interpreter, so several maps are worked on at once.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fmzip import statistics
from fmzip.format import FrameConfig, Transform, round_up
from fmzip.reference import planes, rans, ransframe
from fmzip.tables import Coding, Diffusion


class RansLoop:
    """Encode and decode of all frames of one configuration, as ``in_loop.InLoopCodec``.

    Decoded values follow from the numbers z without packing them, and sizes are those of packed
    tiles, so both are the reference's.

    Parameters
    ----------
    config : of the frames
    coding : tables and diffusion
    threads : work on several maps at once

    Raises
    ------
    ValueError : the coding is not one of that configuration
    """

    def __init__(
        self, config: FrameConfig, coding: Coding, threads: Executor | None = None
    ) -> None:
        self.config, self.coding = config, ransframe.check_coding(config, coding)
        self._model = rans.model_of(coding.tables)
        self._threads = threads

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        stored = values.cpu().numpy()
        decoded = np.empty_like(stored)
        sizes = _each(self._threads, lambda n: self._one(stored[n], decoded[n]), len(stored))
        return torch.from_numpy(decoded).to(values.device), torch.tensor(sizes, dtype=torch.int64)

    def _one(self, values: np.ndarray, decoded: np.ndarray) -> int:
        """Fill ``decoded`` [C, H, W]; bytes of the frame."""
        config = self.config
        size = config.head_bytes
        for tile in config.iter_tiles():
            z = ransframe.numbers(values, config, self.coding, tile)
            rows, cols = (
                slice(tile.row, tile.row + tile.rows),
                slice(tile.col, tile.col + tile.cols),
            )
            decoded[:, rows, cols] = planes.values_of(z, config, tile)
            size += round_up(ransframe.tile_bytes(z, config, self._model), config.burst_bytes)
        return size


class Quantising:
    """What readers get back from memory with a transform and a step, whatever the tables.

    Parameters
    ----------
    config : of the frames, without tables
    diffusion : see ``docs/format.md``, 10.2
    threads : see ``RansLoop``

    Members
    -------
    counts : int64 [contexts, 32], of all values so far
    nibble_counts : the same with the transform nibbles; None where that is not the same quantiser
    values : how many so far
    """

    def __init__(
        self, config: FrameConfig, diffusion: Diffusion, threads: Executor | None = None
    ) -> None:
        self.config, self.diffusion = config, diffusion
        self._threads = threads
        self.values = 0
        self.counts = statistics.empty_counts(config)
        self._nibbles: FrameConfig | None = None
        self.nibble_counts: np.ndarray | None = None
        if config.transform == Transform.BYPASS and not diffusion.spreads:
            self._nibbles = replace(config, transform=Transform.NIBBLES)
            self.nibble_counts = statistics.empty_counts(self._nibbles)

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        stored = values.cpu().numpy()
        decoded = np.empty_like(stored)
        found = _each(self._threads, lambda n: self._one(stored[n], decoded[n]), len(stored))
        for counts, nibbles in found:
            self.counts += counts
            if self.nibble_counts is not None:
                self.nibble_counts += nibbles
        self.values += stored.size
        return torch.from_numpy(decoded).to(values.device), torch.zeros(len(stored))

    def _one(self, values: np.ndarray, decoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        config = self.config
        counts, nibbles = np.zeros_like(self.counts), np.zeros(1, np.int64)
        if self.nibble_counts is not None:
            nibbles = np.zeros_like(self.nibble_counts)
        for tile in config.iter_tiles():
            rows, cols = (
                slice(tile.row, tile.row + tile.rows),
                slice(tile.col, tile.col + tile.cols),
            )
            z = planes.numbers(values[:, rows, cols], config, self.diffusion)
            decoded[:, rows, cols] = planes.values_of(z, config, tile)
            statistics.count(z, config, counts)
            if self._nibbles is not None:
                statistics.count(z, self._nibbles, nibbles)
        return counts, nibbles

    @property
    def bits_per_value(self) -> float:
        """Bits of the symbols with ideal code lengths, with the better transform: a bound."""
        bits = statistics.code_bits(self.counts)
        if self.nibble_counts is not None:
            bits = min(bits, statistics.code_bits(self.nibble_counts))
        return bits / self.values

    def finished(self) -> tuple[Transform, Coding]:
        """Transform and coding for what was counted."""
        counts, transform = self.counts, self.config.transform
        if self.nibble_counts is not None:
            nibbles = self.nibble_counts
            if statistics.code_bits(nibbles) < statistics.code_bits(counts):
                counts, transform = nibbles, Transform.NIBBLES
        return transform, Coding(statistics.make_tables(counts), self.diffusion)


def _each(threads: Executor | None, work: Callable[[int], Any], count: int) -> list[Any]:
    return list(map(work, range(count)) if threads is None else threads.map(work, range(count)))
