"""Binary layers, configurations and maps of the coder GF2, drawn at random, for its tests."""

from typing import Any

import numpy as np

from fmzip.codebooks import make_codebooks
from fmzip.format import HUFFMAN_TOKENS, POSITION_SIDE, Coder, FrameConfig, Transform
from fmzip.gf2 import BinaryLayer, Groups, PlaneCoding, PlaneEncoder, PlaneTables, Rule
from fmzip.projection import Affine


def random_layer(rng: np.random.Generator, rule: Rule, outputs: int, inputs: int) -> BinaryLayer:
    if rule == Rule.XOR:
        return BinaryLayer(rule, rng.integers(0, 2, (outputs, inputs)), rng.integers(0, 2, outputs))
    weights = rng.integers(-1, 2, (outputs, inputs))
    spread = max(1, inputs // 8)
    return BinaryLayer(rule, weights, rng.integers(-spread, spread + 1, outputs))


def random_groups(rng: np.random.Generator, stored: int) -> Groups:
    sizes: list[int] = []
    while sum(sizes) < stored:
        sizes.append(min(int(rng.integers(1, 6)), stored - sum(sizes)))
    counts = np.zeros((len(sizes), HUFFMAN_TOKENS), np.int64)
    counts[:, :32] = rng.integers(1, 50, (len(sizes), 32))
    lengths, books = make_codebooks(counts, 100, 3)
    return Groups(np.array(sizes), lengths, books)


def random_coding(
    rng: np.random.Generator, channels: int, transform: Transform, stored: int,
    encoder: Rule = Rule.POPCOUNT, decoder: Rule = Rule.NONE, *, coded: bool = False,
) -> PlaneCoding:  # fmt: skip
    """Any layers and integers."""
    values = channels * POSITION_SIDE[transform] ** 2
    own = stored if decoder == Rule.NONE else int(rng.integers(1, 9))
    layer = None if decoder == Rule.NONE else random_layer(rng, decoder, values * own, stored)
    sums = Affine(rng.integers(-300, 301, (values, own)), rng.integers(-999, 2000, values), 3)
    groups = random_groups(rng, stored) if coded else None
    return PlaneCoding(
        PlaneTables(stored, sums, layer, groups),
        PlaneEncoder(
            rng.integers(-40, 41, values), rng.integers(0, 256, values),
            random_layer(rng, encoder, stored, 8 * values),
        ),
    )  # fmt: skip


def identity(channels: int, rule: Rule = Rule.XOR, decoder: Rule = Rule.NONE) -> PlaneCoding:
    """All planes as they are: lossless, in 8 bits a value."""
    every = np.eye(8 * channels, dtype=np.int8)
    ones = np.full(8 * channels, int(rule == Rule.POPCOUNT))
    powers = np.zeros((channels, 8 * channels), np.int64)
    for c in range(channels):
        powers[c, 8 * c : 8 * c + 8] = 1 << np.arange(8)
    layer = None
    if decoder != Rule.NONE:
        layer = BinaryLayer(decoder, every, np.full(8 * channels, int(decoder == Rule.POPCOUNT)))
        powers = np.tile(1 << np.arange(8), (channels, 1))
    return PlaneCoding(
        PlaneTables(8 * channels, Affine(powers, np.zeros(channels), 0), layer),
        PlaneEncoder(np.zeros(channels), np.full(channels, 255), BinaryLayer(rule, every, ones)),
    )


def frame(
    coding: PlaneCoding, shape: tuple[int, int, int], transform: Transform, **given: Any
) -> FrameConfig:
    coder = Coder.GF2 if coding.tables.groups is None else Coder.HUFFMAN
    return FrameConfig(
        *shape, transform=transform, coder=coder, tables=coding.tables.id,
        components=coding.tables.stored,
        **{"tile_rows": shape[1], "tile_cols": shape[2], "burst_log2": 3, **given},
    )  # fmt: skip


def map_of(rng: np.random.Generator, config: FrameConfig) -> np.ndarray:
    """Any values: uint8 or int8 [C, H, W]."""
    shape = (config.channels, config.height, config.width)
    low, high = config.value_range
    values = np.rint(rng.normal(config.zero_point, 50, shape)).clip(low, high)
    return values.astype(np.int8 if low else np.uint8)
