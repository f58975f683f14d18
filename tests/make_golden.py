"""Makes golden vectors: ``fmzip golden make VERSION`` calls ``make`` with a new folder.

A vector is ``tests/golden/VERSION/NAME.json``: ``config`` are the arguments of ``FrameConfig``
(enums as integers), ``values`` the map in C order, ``frame`` its bytes in hex, and ``decoded`` what
they are decoded to. Those of the coder RANS have ``tables``, their bytes in hex, and ``diffusion``,
the arguments of ``Diffusion``, besides; ``v2`` has them alone, and later versions ``rans`` before
their names. Vectors are never edited, since they say what files written by older versions look
like. New ones go to the end of their table, since a place is a seed.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from fmzip.format import (
    CONTEXTS,
    ESCAPE,
    PLANES,
    RANS_STEP_MIN,
    STEP_MAX,
    STEP_MIN,
    TOTAL_BITS,
    Coder,
    Dtype,
    FrameConfig,
    Transform,
)
from fmzip.reference import decode, encode
from fmzip.tables import Coding, Diffusion, Tables

SIZE_LIMIT = 8192
RANS_SIZE_LIMIT = 16384  # tables alone have up to 6 KB in hex

Draw = Callable[[np.random.Generator, tuple[int, int, int]], np.ndarray]


def relu(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Like a map after a ReLU: half zeros, neighbouring channels alike."""
    values = rng.normal(0, 20, shape) + rng.normal(0, 25, (1, *shape[1:]))
    return np.clip(values, 0, 255).astype(np.uint8)


def linear(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Like a map of a linear layer around the zero point -20."""
    values = rng.normal(-20, 18, shape).round()
    return np.clip(values, -128, 127).astype(np.int8)


def noise(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Cannot be compressed."""
    return rng.integers(0, 256, shape, np.uint8)


def half_noise(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Some rows compress, others do not."""
    values = noise(rng, shape)
    values[:, ::2] //= 32
    return values


def extremes(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Only the ends of the range, often all channels alike: the largest coefficients."""
    values = np.where(rng.random(shape) < 0.5, -128, 127).astype(np.int8)
    values[:, ::2] = values[:1, ::2]
    return values


def zeros(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    return np.zeros(shape, np.uint8)


CASES: dict[str, tuple[Draw, FrameConfig]] = {
    "one_value": (noise, FrameConfig(1, 1, 1)),
    "all_zero": (zeros, FrameConfig(16, 4, 4, tile_rows=2, tile_cols=4, burst_log2=3)),
    "width_relu": (relu, FrameConfig(16, 5, 6, tile_rows=2, tile_cols=6)),
    "bitmap_relu": (
        relu,
        FrameConfig(16, 5, 6, tile_rows=2, tile_cols=6, coder=Coder.BITMAP),
    ),
    "width_zero_bitmap": (
        relu,
        FrameConfig(24, 4, 5, tile_rows=1, tile_cols=5, zero_bitmap=True, step=2000),
    ),
    "bitmap_zero_bitmap_int8": (
        linear,
        FrameConfig(
            24, 4, 5, Dtype.INT8, -20, 4, 5, coder=Coder.BITMAP, zero_bitmap=True, step=1500
        ),
    ),
    "width_int8": (linear, FrameConfig(16, 4, 6, Dtype.INT8, -20, 2, 6, burst_log2=4)),
    "int8_unipolar": (
        lambda rng, shape: (relu(rng, shape).astype(np.int16) - 128).astype(np.int8),
        FrameConfig(8, 6, 6, Dtype.INT8, -128, 3, 6, coder=Coder.BITMAP, burst_log2=3),
    ),
    "ragged_channels_and_tiles": (
        relu,
        FrameConfig(13, 5, 7, tile_rows=2, tile_cols=3, burst_log2=3, step=1000),
    ),
    "keep_mask": (
        relu,
        FrameConfig(16, 4, 8, tile_rows=4, tile_cols=8, coder=Coder.BITMAP, keep=0b0101_0111),
    ),
    "raw_tiles": (noise, FrameConfig(11, 4, 4, tile_rows=2, tile_cols=4, step=STEP_MIN)),
    "coded_and_raw_tiles": (
        half_noise,
        FrameConfig(16, 6, 4, tile_rows=1, tile_cols=4, burst_log2=4, step=STEP_MIN),
    ),
    # With the zero point at one end the offsets reach -255, and symbols -1020: 11 bits.
    "finest_step": (
        extremes,
        FrameConfig(8, 8, 8, Dtype.INT8, 127, 1, 8, 3, keep=0b111, step=STEP_MIN),
    ),
    "finest_step_bitmap": (
        extremes,
        FrameConfig(
            8, 8, 8, Dtype.INT8, 127, 1, 8, 3, coder=Coder.BITMAP, keep=0b111, step=STEP_MIN
        ),
    ),
    "coarsest_step": (
        relu,
        FrameConfig(32, 4, 4, tile_rows=4, tile_cols=4, burst_log2=8, step=STEP_MAX),
    ),
}


def tables_of(transform: Transform, highest: int) -> Tables:
    """Tables of eight statistics, one for each class above; tokens up to ``highest``."""
    frequencies = b""
    for slope in (0.2, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0):
        weights = slope ** np.arange(highest + 1)
        of = 1 + (weights / weights.sum() * (224 - highest)).astype(int)
        of[0] += (1 << TOTAL_BITS) - 1 - of.sum()
        frequencies += bytes([*of.tolist(), *[0] * (ESCAPE - 1 - highest), 1])
    contexts = np.arange(CONTEXTS * PLANES[transform]) // 8 % 8
    return Tables(contexts.astype(np.uint8).tobytes(), frequencies)


def small(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Like a sparse map after a ReLU, with an outlier here and there."""
    values = rng.geometric(0.4, shape) - 1
    values[rng.random(shape) < 0.01] = 200
    return values.astype(np.uint8)


def small_linear(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Like a map of a linear layer around the zero point 7, with an outlier here and there."""
    values = rng.normal(7, 3, shape).round()
    values[rng.random(shape) < 0.01] = -120
    return values.astype(np.int8)


def small_half_noise(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """The upper half compresses, the lower one does not."""
    values = small(rng, shape)
    values[:, shape[1] // 2 :] = noise(rng, (shape[0], shape[1] - shape[1] // 2, shape[2]))
    return values


BYPASS = {"transform": Transform.BYPASS, "coder": Coder.RANS}
NIBBLES = {"transform": Transform.NIBBLES, "coder": Coder.RANS}
WHT4 = {"transform": Transform.WHT4, "coder": Coder.RANS}
FINEST = {"step": RANS_STEP_MIN}
INT8 = {"dtype": Dtype.INT8, "zero_point": 7}

# With the highest token of the tables; their id is put into the configuration.
RANS_CASES: dict[str, tuple[Draw, FrameConfig, int, Diffusion]] = {
    "bypass": (
        small,
        FrameConfig(16, 8, 6, tile_rows=8, tile_cols=6, **BYPASS, **FINEST),
        30,
        Diffusion(),
    ),
    "bypass_int8": (
        small_linear,
        FrameConfig(13, 8, 9, **INT8, tile_rows=8, tile_cols=9, burst_log2=3, **BYPASS, step=100),
        30,
        Diffusion(),
    ),
    "bypass_diffusion": (
        small_linear,
        FrameConfig(16, 8, 8, **INT8, tile_rows=8, tile_cols=8, **BYPASS, step=300),
        30,
        Diffusion(120, 7, 5, 1),
    ),
    "bypass_int8_unipolar": (
        lambda rng, shape: (small(rng, shape).astype(np.int16) - 128).astype(np.int8),
        FrameConfig(8, 14, 6, Dtype.INT8, -128, 8, 6, burst_log2=4, **BYPASS, **FINEST),
        30,
        Diffusion(),
    ),
    "bypass_escapes": (
        small,
        FrameConfig(16, 8, 6, tile_rows=8, tile_cols=6, burst_log2=3, **BYPASS, **FINEST),
        2,
        Diffusion(),
    ),
    "nibbles": (
        small,
        FrameConfig(16, 8, 6, tile_rows=8, tile_cols=6, burst_log2=3, **NIBBLES, **FINEST),
        15,
        Diffusion(),
    ),
    "nibbles_int8": (
        small_linear,
        FrameConfig(24, 8, 7, **INT8, tile_rows=8, tile_cols=7, **NIBBLES, step=150),
        11,
        Diffusion(100),
    ),
    "nibbles_coded_and_raw": (
        small_half_noise,
        FrameConfig(12, 16, 6, tile_rows=8, tile_cols=6, burst_log2=3, **NIBBLES, **FINEST),
        15,
        Diffusion(),
    ),
    "wht4": (
        small,
        FrameConfig(16, 8, 8, tile_rows=8, tile_cols=8, **WHT4, step=128),
        30,
        Diffusion(),
    ),
    "wht4_int8_odd": (
        small_linear,
        FrameConfig(11, 9, 7, **INT8, tile_rows=9, tile_cols=7, burst_log2=3, **WHT4, step=200),
        30,
        Diffusion(90),
    ),
    "wht4_coded_and_raw": (
        small_half_noise,
        FrameConfig(9, 16, 7, tile_rows=8, tile_cols=7, burst_log2=3, **WHT4, step=181),
        12,
        Diffusion(),
    ),
    "wht4_clamped": (
        extremes,
        FrameConfig(8, 5, 5, Dtype.INT8, -128, 2, 4, 3, **WHT4, **FINEST),
        30,
        Diffusion(),
    ),
    "one_value": (small, FrameConfig(1, 1, 1, **BYPASS), 30, Diffusion()),
    "all_zero": (
        zeros,
        FrameConfig(16, 8, 8, tile_rows=8, tile_cols=8, burst_log2=3, **WHT4),
        30,
        Diffusion(),
    ),
}


def write(folder: Path, name: str, vector: dict[str, object], limit: int) -> None:
    text = json.dumps(vector)
    if len(text) >= limit:
        raise SystemExit(f"{name}: {len(text)} characters, the limit is {limit}")
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def make(folder: Path) -> None:
    """Write all vectors into a folder, which is made."""
    folder.mkdir(parents=True)
    for seed, (name, (draw, config)) in enumerate(CASES.items()):
        values = draw(np.random.default_rng(seed), (config.channels, config.height, config.width))
        frame = encode(values, config)
        vector = {
            "config": asdict(config),
            "values": values.ravel().tolist(),
            "frame": frame.hex(),
            "decoded": decode(frame).ravel().tolist(),
        }
        write(folder, name, vector, SIZE_LIMIT)
    for seed, (name, (draw, config, highest, diffusion)) in enumerate(RANS_CASES.items()):
        values = draw(np.random.default_rng(seed), (config.channels, config.height, config.width))
        tables = tables_of(config.transform, highest)
        config = replace(config, tables=tables.id)
        frame = encode(values, config, Coding(tables, diffusion))
        vector = {
            "config": asdict(config),
            "tables": tables.to_bytes().hex(),
            "diffusion": asdict(diffusion),
            "values": values.ravel().tolist(),
            "frame": frame.hex(),
            "decoded": decode(frame, tables).ravel().tolist(),
        }
        write(folder, f"rans_{name}", vector, RANS_SIZE_LIMIT)
