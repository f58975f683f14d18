"""Configurations, tables and maps of the coder RANS, drawn at random, for the tests of it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fmzip.format import (
    CONTEXTS,
    PLANES,
    POSITION_SIDE,
    RANS_TRANSFORMS,
    STATISTICS_MAX,
    STEP_MAX,
    TOKENS,
    Coder,
    Dtype,
    FrameConfig,
    Transform,
)
from fmzip.tables import Coding, Diffusion, Tables


@dataclass(frozen=True)
class Case:
    """A map, and all that is needed to code it."""

    config: FrameConfig
    coding: Coding
    values: np.ndarray


def statistic(rng: np.random.Generator, limit: int, slope: float, escape: int = 1) -> bytes:
    """Frequencies of the tokens up to ``limit``, each ``slope`` times that of the one before."""
    weights = slope ** np.arange(limit + 1) * rng.uniform(0.8, 1.2, limit + 1)
    free = 256 - escape - (limit + 1)
    of = 1 + np.floor(free * weights / weights.sum()).astype(int)
    of[rng.integers(limit + 1)] += 256 - escape - of.sum()
    return bytes([*of.tolist(), *[0] * (TOKENS - 2 - limit), escape])


def random_tables(rng: np.random.Generator, transform: Transform) -> Tables:
    """Tables of any kind: one statistic or many, few tokens or all, flat or steep."""
    planes = PLANES[transform]
    statistics = int(rng.choice([1, 2, int(rng.integers(1, STATISTICS_MAX + 1)), STATISTICS_MAX]))
    highest = 15 if transform == Transform.NIBBLES else TOKENS - 2
    frequencies = b"".join(
        statistic(
            rng,
            int(rng.choice([0, 1, int(rng.integers(highest + 1)), highest])),
            float(rng.choice([0.3, 0.7, 0.9, 1.0])),
            int(rng.choice([1, 1, int(rng.integers(1, 200))])),
        )
        for _ in range(statistics)
    )
    return Tables(rng.integers(0, statistics, CONTEXTS * planes, np.uint8).tobytes(), frequencies)


def fitting_tables(transform: Transform) -> Tables:
    """Tables that compress maps of small values: a statistic for each class above."""
    rng = np.random.default_rng(0)
    highest = 15 if transform == Transform.NIBBLES else TOKENS - 2
    frequencies = b"".join(
        statistic(rng, highest, slope) for slope in (0.05, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    )
    contexts = np.arange(CONTEXTS * PLANES[transform]) // 8 % 8
    return Tables(contexts.astype(np.uint8).tobytes(), frequencies)


def map_of(config: FrameConfig, seed: int, spread: float) -> np.ndarray:
    """A map with neighbours alike, many zeros, and clipped ends."""
    rng = np.random.default_rng(seed)
    shape = (config.channels, config.height, config.width)
    values = rng.normal(0, spread, shape) + rng.normal(0, spread, (shape[0], 1, 1))
    values = np.where(rng.random(shape) < 0.3, 0, values.round()) + config.zero_point
    dtype = config.dtype.name.lower()
    return np.clip(values, *config.value_range).astype(np.int16).astype(dtype)


def rans_config(transform: Transform, *args: Any, tables: Tables, **given: Any) -> FrameConfig:
    return FrameConfig(*args, transform=transform, coder=Coder.RANS, tables=tables.id, **given)


SEEDS = st.integers(0, 2**32 - 1)
SPREADS = st.sampled_from([0.0, 0.7, 3.0, 20.0, 300.0])


@st.composite
def cases(draw: st.DrawFn, side: int = 9, channels: int = 20, **fixed: Any) -> Case:
    """Any map with any configuration and any tables; ``fixed`` are fields of the configuration."""
    transform = fixed.pop("transform", None) or draw(st.sampled_from(RANS_TRANSFORMS))
    height, width = draw(st.integers(1, side)), draw(st.integers(1, side))
    dtype = draw(st.sampled_from(Dtype))
    low = -128 if dtype == Dtype.INT8 else 0
    unit = POSITION_SIDE[transform]
    seed = draw(SEEDS)
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, transform) if draw(st.booleans()) else fitting_tables(transform)
    diffusion = Diffusion(draw(st.just(128) | st.integers(0, 255)))
    if transform == Transform.BYPASS:
        weights = [draw(st.just(0) | st.integers(0, 15)) for _ in range(3)]
        diffusion = replace(diffusion, left=weights[0], above=weights[1], corner=weights[2])
    chosen = {
        "channels": draw(st.integers(1, channels)),
        "height": height,
        "width": width,
        "dtype": dtype,
        "zero_point": draw(st.just(low) | st.integers(low, low + 255)),
        "tile_rows": min(height, unit * draw(st.integers(1, height))),
        "tile_cols": min(width, unit * draw(st.integers(1, width))),
        "burst_log2": draw(st.integers(3, 8)),
        "step": draw(st.sampled_from([64, 65, 181, STEP_MAX]) | st.integers(64, 3000)),
    }
    config = rans_config(transform, tables=tables, **chosen | fixed)
    return Case(config, Coding(tables, diffusion), map_of(config, seed, draw(SPREADS)))
