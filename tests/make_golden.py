"""Makes golden vectors; run by hand where a new one is wanted: ``python tests/make_golden.py``.

A vector is ``tests/golden/v<format version>/NAME.json``: ``config`` are the arguments of
``FrameConfig`` (enums as integers), ``values`` the map in C order, ``frame`` its bytes in hex, and
``decoded`` what they are decoded to.
Vectors are added, never edited, since they say what files written by older versions look like: a
file that exists is left alone. New ones go to the end of ``CASES``, since a place is a seed.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fmzip.format import STEP_MAX, STEP_MIN, VERSION, Coder, Dtype, FrameConfig
from fmzip.reference import decode, encode

FOLDER = Path(__file__).parent / "golden" / f"v{VERSION}"
SIZE_LIMIT = 8192

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


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for seed, (name, (draw, config)) in enumerate(CASES.items()):
        path = FOLDER / f"{name}.json"
        if path.exists():
            continue
        values = draw(np.random.default_rng(seed), (config.channels, config.height, config.width))
        frame = encode(values, config)
        vector = {
            "config": asdict(config),
            "values": values.ravel().tolist(),
            "frame": frame.hex(),
            "decoded": decode(frame).ravel().tolist(),
        }
        text = json.dumps(vector)
        if len(text) >= SIZE_LIMIT:
            raise SystemExit(f"{name}: {len(text)} characters, the limit is {SIZE_LIMIT}")
        path.write_text(text + "\n", encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main()
