"""The tiles of a frame as sums over the blocks of a whole batch of maps."""

import torch
from torch.nn import functional

from fmzip.format import SECTION_BYTES, WIDTH_BITS, FrameConfig, ceil_div, round_up


class TileGrid:
    """The tiles of one configuration, ``rows`` by ``cols`` of them.

    Members
    -------
    rows, cols : number of tiles in each direction
    width_bytes : of each tile's widths section: int64 [rows, cols]
    raw_bursts : of each tile when it is raw: int64 [rows, cols]
    """

    def __init__(self, config: FrameConfig, device: torch.device) -> None:
        self._config = config
        self.rows = ceil_div(config.height, config.tile_rows)
        self.cols = ceil_div(config.width, config.tile_cols)
        pixels = [tile.rows * tile.cols for tile in config.iter_tiles()]

        def table(sizes: list[int]) -> torch.Tensor:
            numbers = torch.tensor(sizes, dtype=torch.int64, device=device)
            return numbers.view(self.rows, self.cols)

        per_word = 8 * SECTION_BYTES // WIDTH_BITS  # blocks
        self.width_bytes = table(
            [round_up(n * config.blocks_per_pixel, per_word) * WIDTH_BITS // 8 for n in pixels]
        )
        self.raw_bursts = table([ceil_div(n * config.channels, config.burst_bytes) for n in pixels])

    def sum(self, blocks: torch.Tensor) -> torch.Tensor:
        """Sums over the blocks of each tile: int64 [N, rows, cols].

        Parameters
        ----------
        blocks : float32 [N * blocks per pixel, H * W], integers
        """
        config = self._config
        # A pixel has at most 8192 blocks of at most 88 bits, so its sum is below 2**24.
        per_pixel = blocks.view(-1, config.blocks_per_pixel, config.height, config.width).sum(1)
        missing = (
            self.rows * config.tile_rows - config.height,
            self.cols * config.tile_cols - config.width,
        )
        if any(missing):
            per_pixel = functional.pad(per_pixel, (0, missing[1], 0, missing[0]))
        tiles = per_pixel.view(-1, self.rows, config.tile_rows, self.cols, config.tile_cols)
        # Exact to 2**53 bits, as a tile of the user's choice may be large.
        return tiles.sum(dim=(2, 4), dtype=torch.float64).to(torch.int64)

    def pixels_of(self, tiles: torch.Tensor) -> torch.Tensor:
        """A flag of each tile at each of its pixels: bool [N, rows, cols] to [N, 1, H, W]."""
        config = self._config
        wide = tiles.repeat_interleave(config.tile_rows, 1).repeat_interleave(config.tile_cols, 2)
        return wide[:, None, : config.height, : config.width]
