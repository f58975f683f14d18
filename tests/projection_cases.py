"""Configurations, projections and maps of the coder HUFFMAN, drawn at random, for its tests."""

from typing import Any

import numpy as np

from fmzip.codebooks import code_lengths, make_codebooks
from fmzip.format import HUFFMAN_TOKENS, POSITION_SIDE, Coder, Dtype, FrameConfig, Transform
from fmzip.projection import Affine, Projection, ProjectionCoding
from fmzip_models.pca import Components


def random_affine(rng: np.random.Generator, outputs: int, inputs: int, shift: int) -> Affine:
    matrix = rng.integers(-2048, 2048, (outputs, inputs), np.int16)
    return Affine(matrix, rng.integers(-(2**20), 2**20, outputs, np.int32), shift)


def random_coding(
    rng: np.random.Generator, channels: int, transform: Transform, groups: int, books: int = 3
) -> ProjectionCoding:
    """Any matrices and codebooks: symbols are spread over their whole range."""
    values = channels * POSITION_SIDE[transform] ** 2 // groups
    kept = [int(rng.integers(1, values + 1)) for _ in range(groups)]
    forward = tuple(random_affine(rng, k, values, 13) for k in kept)
    inverse = tuple(random_affine(rng, values, k, 11) for k in kept)
    lengths = np.stack(
        [code_lengths(rng.integers(0, 50, HUFFMAN_TOKENS) * rng.integers(0, 2, HUFFMAN_TOKENS))
         for _ in range(books)]
    )  # fmt: skip
    of = rng.integers(0, books, sum(kept), np.uint8)
    return ProjectionCoding(Projection(inverse, lengths, of), forward)


def fitting_coding(
    rng: np.random.Generator, channels: int, transform: Transform, groups: int = 1
) -> ProjectionCoding:
    """Orthonormal matrices, a step of 4, and codes for small symbols."""
    values = channels * POSITION_SIDE[transform] ** 2 // groups
    vectors = np.stack([np.linalg.qr(rng.normal(size=(values, values)))[0] for _ in range(groups)])
    components = Components(np.zeros((groups, values)), np.ones((groups, values)), vectors)
    forward, inverse = components.linear(4.0, [values] * groups).affines
    counts = np.floor(4000 * 0.8 ** np.arange(HUFFMAN_TOKENS)).astype(np.int64)
    counts = np.repeat(counts[None], values * groups, axis=0)
    lengths, books = make_codebooks(counts, 1)
    return ProjectionCoding(Projection(inverse, lengths, books), forward)


def frame(
    coding: ProjectionCoding, shape: tuple[int, int, int], transform: Transform, **given: Any
) -> FrameConfig:
    return FrameConfig(
        *shape, transform=transform, coder=Coder.HUFFMAN, tables=coding.tables.id,
        components=coding.tables.components,
        **{"tile_rows": shape[1], "tile_cols": shape[2], "burst_log2": 3, **given},
    )  # fmt: skip


def map_of(rng: np.random.Generator, config: FrameConfig, spread: float = 12.0) -> np.ndarray:
    """Like a map in front of a ReLU."""
    shape = (config.channels, config.height, config.width)
    values = rng.normal(config.zero_point + 5, spread, shape)
    kind = np.int8 if config.dtype == Dtype.INT8 else np.uint8
    return np.clip(np.rint(values), *config.value_range).astype(kind)
