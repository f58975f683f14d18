"""Tables of the coder RANS from counts: ``fmzip.statistics``."""

import numpy as np
import pytest
from tests.rans_cases import fitting_tables, rans_config

from fmzip import statistics
from fmzip.format import CONTEXTS, ESCAPE, TOKENS, FrameConfig, Transform
from fmzip.reference import encode, planes, rans, ransframe
from fmzip.statistics import code_bits, count, empty_counts, make_tables
from fmzip.tables import Coding, Diffusion, Tables

TRANSFORMS = (Transform.BYPASS, Transform.NIBBLES, Transform.WHT4)


def smooth_map(seed: int, shape: tuple[int, int, int] = (16, 24, 24)) -> np.ndarray:
    """A map with neighbours that are alike and many zeros, as behind a ReLU."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=shape)
    for axis in (1, 2):
        noise = noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)
    return np.clip(noise * 3 - 4, 0, 255).astype(np.uint8)


def whole(
    transform: Transform, shape: tuple[int, ...], tables: Tables, step: int = 128
) -> FrameConfig:
    """A configuration with one tile."""
    rows, cols = shape[1:]
    return rans_config(transform, *shape, tables=tables, step=step, tile_rows=rows, tile_cols=cols)


def counted(values: np.ndarray, transform: Transform, step: int = 128) -> np.ndarray:
    config = whole(transform, values.shape, fitting_tables(transform), step)
    counts = empty_counts(config)
    count(planes.numbers(values, config, Diffusion()), config, counts)
    return counts


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_every_symbol_is_counted_in_the_context_that_the_coder_gives_it(
    transform: Transform,
) -> None:
    values = smooth_map(1)
    config = whole(transform, values.shape, fitting_tables(transform))
    counts = counted(values, transform)
    z = planes.numbers(values, config, Diffusion())
    symbols = planes.to_slots(z, config)
    assert counts.sum() == symbols.size
    # With a statistic for each of the first 32 contexts, statistics are what was counted there.
    contexts = np.minimum(np.arange(len(counts)), 31).astype(np.uint8)
    flat = bytes([8] * 31 + [256 - 8 * 31])
    tables = Tables(bytes(contexts), flat * 32)
    found = rans.tokens_of(symbols, rans.layout_of(config, z.shape[3]), rans.model_of(tables))
    for k in range(31):
        tokens = found.tokens[found.statistics == k]
        assert np.bincount(tokens, minlength=TOKENS).tolist() == counts[k].tolist()


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("most", [1, 5, 32])
def test_tables_are_valid_and_have_no_more_statistics_than_asked_for(
    transform: Transform, most: int
) -> None:
    tables = make_tables(counted(smooth_map(2), transform), most)
    assert 1 <= tables.statistics <= most
    assert tables.planes == {Transform.BYPASS: 1, Transform.NIBBLES: 2}.get(transform, 4)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_frames_are_near_the_bound_that_the_counts_give(transform: Transform) -> None:
    shape = (64, 56, 48)
    train, test = smooth_map(3, shape), smooth_map(4, shape)
    # Tables of one map, another one coded: the bound is that of the other's own counts.
    tables = make_tables(counted(train, transform))
    config = whole(transform, shape, tables)
    bound = code_bits(counted(test, transform)) / 8
    size = len(encode(test, config, Coding(tables)))
    # Tables of 32 statistics for four planes are coarser than those for one.
    loss = 1.1 if transform == Transform.WHT4 else 1.04
    assert bound < size < loss * bound + config.head_bytes + 8 * 160


def test_more_statistics_never_cost_bits() -> None:
    values = smooth_map(5, (32, 32, 32))
    counts = counted(values, Transform.BYPASS)
    sizes = []
    for most in (1, 4, 16, 32):
        tables = make_tables(counts, most)
        config = whole(Transform.BYPASS, values.shape, tables)
        z = ransframe.numbers(values, config, Coding(tables), next(config.iter_tiles()))
        sizes.append(ransframe.tile_bytes(z, config, rans.model_of(tables)))
    assert sizes == sorted(sizes, reverse=True)


def test_tokens_that_calibration_never_saw_are_escapes_and_still_coded() -> None:
    zeros = np.zeros((8, 16, 16), np.uint8)
    tables = make_tables(counted(zeros, Transform.BYPASS))
    assert tables.limit(0) < ESCAPE - 1
    config = whole(Transform.BYPASS, (8, 16, 16), tables, 64)
    values = np.full((8, 16, 16), 200, np.uint8)
    values[0, 0, 0] = 0
    assert len(encode(values, config, Coding(tables))) <= config.max_bytes


def test_equal_counts_give_equal_tables() -> None:
    counts = counted(smooth_map(6), Transform.WHT4)
    assert make_tables(counts) == make_tables(counts.copy())


def test_joining_takes_the_pair_that_costs_least() -> None:
    counts = np.zeros((CONTEXTS, TOKENS), np.int64)
    counts[0, :2] = 1000, 10
    counts[1, :2] = 990, 12
    counts[2, :2] = 10, 1000
    tables = make_tables(counts, 2)
    assert tables.contexts[0] == tables.contexts[1] != tables.contexts[2]


def test_what_cannot_be_done_is_refused_in_one_line() -> None:
    counts = np.ones((CONTEXTS, TOKENS), np.int64)
    with pytest.raises(ValueError, match="statistics must be 1 to 32, not 33"):
        make_tables(counts, 33)
    with pytest.raises(ValueError, match="no symbols were counted"):
        make_tables(np.zeros_like(counts))


def test_kernels_equal_their_definitions() -> None:
    counts = counted(smooth_map(7), Transform.BYPASS)
    seen = counts[counts.sum(axis=1) > 0][:20].astype(np.float64)
    kernel = statistics._merge
    plain = getattr(kernel, "py_func", kernel)
    assert kernel(seen, 5).tolist() == plain(seen, 5).tolist()
