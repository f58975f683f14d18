"""The coder HUFFMAN in the loop of a network: the reference's own integers and sizes, in batches.

Products with the matrices are made in float64, which holds every sum exactly (``format.SUM_BITS``),
so that symbols, values and sizes are the reference's; a test compares them.
"""

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
import torch
from torch.nn import functional

from fmzip.format import COMPONENT_MAX, POSITION_SIDE, FrameConfig, Transform, ceil_div, round_up
from fmzip.projection import Affine, ProjectionCoding
from fmzip.reference import huffman, projframe


def columns(values: torch.Tensor, transform: Transform, groups: int) -> torch.Tensor:
    """Values of a batch by position: [n, groups, values of a group, positions].

    Parameters
    ----------
    values : [n, C, H, W], floats
    """
    side = POSITION_SIDE[transform]
    n, channels, height, width = values.shape
    if side == 1:
        return values.reshape(n, groups, channels // groups, height * width)
    down, right = -height % side, -width % side
    if down or right:
        values = functional.pad(values.float(), (0, right, 0, down), mode="replicate").to(values)
    rows, cols = (height + down) // side, (width + right) // side
    split = values.reshape(n, groups, channels // groups, rows, side, cols, side)
    return split.permute(0, 1, 4, 6, 2, 3, 5).reshape(n, groups, -1, rows * cols)


def from_columns(found: torch.Tensor, transform: Transform, shape: torch.Size) -> torch.Tensor:
    """The inverse of ``columns``: [n, C, H, W].

    Parameters
    ----------
    shape : n, C, H, W
    """
    side = POSITION_SIDE[transform]
    n, channels, height, width = shape
    if side == 1:
        return found.reshape(shape)
    rows, cols = ceil_div(height, side), ceil_div(width, side)
    split = found.reshape(n, -1, side, side, channels // found.shape[1], rows, cols)
    full = split.permute(0, 1, 4, 5, 2, 6, 3).reshape(n, channels, rows * side, cols * side)
    return full[:, :, :height, :width]


class ExactAffine:
    """``Affine`` on batches: the same integers, in float64.

    Parameters
    ----------
    affine : what to compute
    device : where the tensors are
    """

    def __init__(self, affine: Affine, device: torch.device | str = "cpu") -> None:
        # Scaled by a power of two, which changes no bit of a sum.
        scale = 2.0**-affine.shift
        self._matrix = torch.from_numpy(affine.matrix.astype(np.float64) * scale).to(device)
        offset = torch.from_numpy(affine.offset.astype(np.float64) * scale)
        self._offset = offset[:, None].to(device)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """float64 [n, inputs, positions] to [n, outputs, positions], integers."""
        return (self._matrix @ inputs).add_(self._offset).floor_()


def frame_bytes(
    symbols: np.ndarray,
    config: FrameConfig,
    code_bytes: int,
    tile_bytes: Callable[[np.ndarray], int],
) -> int:
    """Bytes of a frame, and of its codebooks as though they were stored with it.

    Parameters
    ----------
    symbols : [positions of the map, components]
    code_bytes : of the codebooks, without padding
    tile_bytes : size of a tile of symbols, [positions, components]
    """
    side = POSITION_SIDE[config.transform]
    rows, cols = ceil_div(config.height, side), ceil_div(config.width, side)
    grid = symbols.reshape(rows, cols, -1)
    size = config.head_bytes + round_up(code_bytes, config.burst_bytes)
    for t in config.iter_tiles():
        down, right = t.row // side, t.col // side
        part = grid[down : down + ceil_div(t.rows, side), right : right + ceil_div(t.cols, side)]
        size += tile_bytes(np.ascontiguousarray(part).reshape(-1, symbols.shape[1]))
    return size


class ProjectionLoop:
    """Encode and decode of all frames of one configuration, as ``in_loop.InLoopCodec``.

    Each map's bytes on the bus are those of its frame and of the codebooks, as though a codebook
    were stored with every frame; the matrices are loaded once, like weights.

    Parameters
    ----------
    config : of the frames
    coding : projection of encoder and decoder
    device : where the tensors are
    threads : size several maps at once

    Raises
    ------
    ValueError : the coding is not one of that configuration
    """

    def __init__(
        self, config: FrameConfig, coding: ProjectionCoding, device: torch.device | str = "cpu",
        threads: Executor | None = None,
    ) -> None:  # fmt: skip
        self.config, self.coding = config, projframe.check_projecting(config, coding)
        self._codes = huffman.codes_of(coding.tables)
        self._forward = [ExactAffine(a, device) for a in coding.forward]
        self._inverse = [ExactAffine(a, device) for a in coding.tables.inverse]
        self._sizes = [a.matrix.shape[1] for a in coding.tables.inverse]
        self._threads = threads

    def symbols(self, values: torch.Tensor) -> torch.Tensor:
        """Symbols of a batch: float64 [n, components, positions], integers."""
        wide = values.to(torch.float64).sub_(self.config.zero_point)
        inputs = columns(wide, self.config.transform, len(self._forward))
        parts = [forward(inputs[:, g]) for g, forward in enumerate(self._forward)]
        return torch.cat(parts, dim=1).clamp_(-COMPONENT_MAX, COMPONENT_MAX)

    def values(self, symbols: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Values of symbols before they are rounded to 8 bits: float64 [n, C, H, W], integers."""
        parts = symbols.split(self._sizes, dim=1)
        found = [inverse(part) for inverse, part in zip(self._inverse, parts, strict=True)]
        return from_columns(torch.stack(found, dim=1), self.config.transform, shape)

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.config
        symbols = self.symbols(values)
        decoded = self.values(symbols, values.shape).add_(config.zero_point)
        decoded = decoded.clamp_(*config.value_range).to(torch.int16).to(values.dtype)
        stored = symbols.transpose(1, 2).to(torch.int16).cpu().contiguous().numpy()
        each = map if self._threads is None else self._threads.map
        sizes = list(each(self._frame_bytes, stored))
        return decoded, torch.tensor(sizes, dtype=torch.int64)

    def _frame_bytes(self, symbols: np.ndarray) -> int:
        """Bytes of a frame and the codebooks: int16 [positions of the map, components]."""
        tables = self.coding.tables
        config, codes = self.config, self._codes
        return frame_bytes(
            symbols,
            config,
            tables.code_bytes,
            lambda tile: projframe.tile_bytes(tile, config, codes),
        )
