"""The coder RANS in the loop of a network: the reference's own integers and sizes, map by map."""

import numpy as np
import torch

from fmzip.format import FrameConfig, round_up
from fmzip.reference import planes, rans, ransframe
from fmzip.tables import Coding


class RansLoop:
    """Encode and decode of all frames of one configuration, as ``in_loop.InLoopCodec``.

    Decoded values follow from the numbers z without packing them, and sizes are those of packed
    tiles, so both are the reference's.

    Parameters
    ----------
    config : of the frames
    coding : tables and diffusion

    Raises
    ------
    ValueError : the coding is not one of that configuration
    """

    def __init__(self, config: FrameConfig, coding: Coding) -> None:
        self.config, self.coding = config, ransframe.check_coding(config, coding)
        self._model = rans.model_of(coding.tables)

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        stored = values.cpu().numpy()
        decoded = np.empty_like(stored)
        sizes = np.full(len(stored), self.config.head_bytes, np.int64)
        for n, one in enumerate(stored):
            for tile in self.config.iter_tiles():
                z = ransframe.numbers(one, self.config, self.coding, tile)
                part = planes.values_of(z, self.config, tile)
                rows, cols = (
                    slice(tile.row, tile.row + tile.rows),
                    slice(tile.col, tile.col + tile.cols),
                )
                decoded[n, :, rows, cols] = part
                size = ransframe.tile_bytes(z, self.config, self._model)
                sizes[n] += round_up(size, self.config.burst_bytes)
        return torch.from_numpy(decoded).to(values.device), torch.from_numpy(sizes)
