"""Frames for the benches of the cores, each from a seed, as the reference codes them."""

from dataclasses import dataclass, replace

import numpy as np

from fmzip.format import (
    BLOCK,
    CONTEXTS,
    PLANES,
    POSITION_SIDE,
    RANS_TRANSFORMS,
    TOKENS,
    Coder,
    Dtype,
    FrameConfig,
    Transform,
    ceil_div,
)
from fmzip.reference import decode, encode
from fmzip.tables import Coding, Diffusion, Tables

CHANNELS = (1, 3, 8, 9, 16, 24, 33, 64)


@dataclass(frozen=True)
class Frame:
    """A map, its frame and what a decoder makes of that; ``coding`` with the coder RANS."""

    config: FrameConfig
    values: np.ndarray
    data: bytes
    decoded: np.ndarray
    coding: Coding | None = None

    @property
    def tables(self) -> Tables | None:
        return None if self.coding is None else self.coding.tables


def raster_beats(values: np.ndarray, config: FrameConfig, lanes: int = 0, filler: int = 0) -> bytes:
    """The bytes of a map in wire order: with whole rows as tiles those of the raster.

    Parameters
    ----------
    values : uint8 or int8 [C, H, W]
    lanes : fill the last beat of each pixel up to so many bytes; 0: leave them out
    filler : byte that fills
    """
    side = POSITION_SIDE.get(config.transform, 1)
    pixels = np.ascontiguousarray(values.transpose(1, 2, 0)).view(np.uint8)
    if lanes:
        fill = -config.channels % lanes
        pixels = np.pad(pixels, ((0, 0), (0, 0), (0, fill)), constant_values=filler)
    out = bytearray()
    for tile in config.iter_tiles():
        for top in range(tile.row, tile.row + tile.rows, side):
            for left in range(tile.col, tile.col + tile.cols, side):
                for row in range(top, top + side):
                    for col in range(left, left + side):
                        at = min(row, config.height - 1), min(col, config.width - 1)
                        out += pixels[at].tobytes()
    return bytes(out)


def _tables(transform: Transform, rng: np.random.Generator) -> Tables:
    """Eight statistics, chosen by the class above; each falls more slowly than the one before."""
    highest = 15 if transform == Transform.NIBBLES else TOKENS - 2
    frequencies = b""
    for slope in (0.05, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
        weights = slope ** np.arange(highest + 1)
        of = 1 + np.floor((254 - highest) * weights / weights.sum()).astype(int)
        of[rng.integers(highest + 1)] += 255 - of.sum()
        frequencies += bytes([*of.tolist(), *[0] * (TOKENS - 2 - highest), 1])
    contexts = np.arange(CONTEXTS * PLANES[transform]) // BLOCK % 8
    return Tables(contexts.astype(np.uint8).tobytes(), frequencies)


def random_frame(codec: str, seed: int, *, large: bool = False) -> Frame:
    """A frame of a codec with everything drawn at random.

    Parameters
    ----------
    codec : ``dctcm`` or ``fmz``
    large : of 64 channels, in two tiles of 512 blocks, for throughput
    """
    rng = np.random.default_rng(seed)
    rans = codec == "fmz"
    transform = Transform(int(rng.choice(RANS_TRANSFORMS))) if rans else Transform.DCT8
    side = POSITION_SIDE.get(transform, 1)
    channels = 64 if large else int(rng.choice(CHANNELS))
    height = 8 if large else int(rng.integers(1, 7))
    most = max(2, 40 // ceil_div(channels, BLOCK) // height + 1)
    width = 16 if large else int(rng.integers(1, most))
    tile_rows = 4 if large else min(height, side * int(rng.integers(1, height + 1)))
    tile_cols = width if large or rng.random() < 0.5 else int(rng.integers(1, width + 1))
    dtype = Dtype.UINT8 if large else Dtype(int(rng.integers(2)))
    low = -128 if dtype == Dtype.INT8 else 0
    config = FrameConfig(
        channels, height, width, dtype=dtype,
        zero_point=low if large or rng.random() < 0.7 else int(rng.integers(low, low + 256)),
        tile_rows=tile_rows, tile_cols=min(width, ceil_div(tile_cols, side) * side),
        burst_log2=int(rng.integers(3, 7)), transform=transform,
        coder=Coder.RANS if rans else Coder(int(rng.integers(1, 3))),
        zero_bitmap=not rans and bool(rng.integers(2)),
        keep=0xFF if rans else int(rng.choice([0xFF, 0xFF, int(rng.integers(1, 256))])),
        step=int(rng.integers(64, 2000) if rans else rng.integers(128, 6000)),
    )  # fmt: skip
    spread = 20 if large else float(rng.choice([0, 4, 20, 300]))
    values = rng.normal(0, spread, (channels, height, width)).round()
    values = np.where(rng.random(values.shape) < 0.4, 0, values) + config.zero_point
    values = values.clip(*config.value_range).astype(np.int16)
    values = values.astype(np.int8 if dtype == Dtype.INT8 else np.uint8)
    if not rans:
        data = encode(values, config)
        return Frame(config, values, data, decode(data))
    tables = _tables(transform, rng)
    config = replace(config, tables=tables.id)
    weights = (5, 3, 2) if transform == Transform.BYPASS and rng.random() < 0.5 else (0, 0, 0)
    coding = Coding(tables, Diffusion(int(rng.choice([128, 100])), *weights))
    data = encode(values, config, coding)
    return Frame(config, values, data, decode(data, tables), coding)
