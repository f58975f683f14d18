"""The reference: round trips, bounds, inputs that are refused, and golden vectors."""

import json
import tracemalloc
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmzip.format import (
    BLOCK_CODERS,
    STEP_MAX,
    STEP_MIN,
    STEP_PER_LSB,
    SYMBOL_MAX,
    Coder,
    Dtype,
    FrameConfig,
    TileMode,
)
from fmzip.reference import decode, encode, parse_head
from fmzip.reference.frame import symbols_of_lanes
from fmzip.reference.tiling import to_lanes

GOLDEN = sorted((Path(__file__).parent / "golden" / "v1").glob("*.json"))


def dtype_of(config: FrameConfig) -> np.dtype:
    return np.dtype(config.dtype.name.lower())


@st.composite
def configs(draw: st.DrawFn, **fixed: Any) -> FrameConfig:
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    dtype = draw(st.sampled_from(Dtype))
    low = -128 if dtype == Dtype.INT8 else 0
    chosen = {
        "channels": draw(st.integers(1, 40)),
        "height": height,
        "width": width,
        "dtype": dtype,
        "zero_point": draw(st.just(low) | st.integers(low, low + 255)),
        "tile_rows": draw(st.integers(1, height)),
        "tile_cols": draw(st.integers(1, width)),
        "burst_log2": draw(st.integers(3, 8)),
        "coder": draw(st.sampled_from(BLOCK_CODERS)),
        "zero_bitmap": draw(st.booleans()),
        "keep": draw(st.just(0xFF) | st.integers(1, 0xFF)),
        "step": draw(st.sampled_from([STEP_MIN, 724, STEP_MAX]) | st.integers(STEP_MIN, 5000)),
    }
    return FrameConfig(**chosen | fixed)


def map_of(config: FrameConfig, seed: int, spread: float = 30) -> np.ndarray:
    """A map with neighbours alike, many zeros, and clipped ends."""
    rng = np.random.default_rng(seed)
    shape = (config.channels, config.height, config.width)
    values = rng.normal(0, spread, shape) + rng.normal(0, spread, (1, *shape[1:]))
    values = np.where(rng.random(shape) < 0.3, 0, values.round()) + config.zero_point
    return np.clip(values, *config.value_range).astype(np.int16).astype(dtype_of(config))


SEEDS = st.integers(0, 2**32 - 1)
SPREADS = st.sampled_from([0.0, 1.0, 10.0, 40.0, 300.0])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(configs(keep=0xFF), SEEDS, SPREADS)
def test_no_value_is_farther_off_than_the_step_allows(
    config: FrameConfig, seed: int, spread: float
) -> None:
    values = map_of(config, seed, spread)
    error = np.abs(decode(encode(values, config)).astype(int) - values.astype(int))
    # Eight coefficients, each off by half a step, all adding up in one value; 2 LSB cover the
    # rounding of the inverse and of the multiplier, and rows that are not quite orthogonal.
    assert error.max() <= 8**0.5 / 2 * config.step / STEP_PER_LSB * 1.01 + 2


@settings(max_examples=150, deadline=None, derandomize=True)
@given(configs(), SEEDS, SPREADS)
def test_no_frame_is_larger_than_its_configuration_says(
    config: FrameConfig, seed: int, spread: float
) -> None:
    frame = encode(map_of(config, seed, spread), config)
    assert len(frame) <= config.max_bytes
    assert len(frame) % config.burst_bytes == 0


@settings(max_examples=100, deadline=None, derandomize=True)
@given(configs(zero_bitmap=True), SEEDS, SPREADS)
def test_zeros_survive_with_a_zero_bitmap(config: FrameConfig, seed: int, spread: float) -> None:
    values = map_of(config, seed, spread)
    found = decode(encode(values, config))
    assert (found[values == config.zero_point] == config.zero_point).all()


def test_in_a_unipolar_map_with_a_zero_bitmap_nothing_else_becomes_zero() -> None:
    config = FrameConfig(8, 4, 4, tile_rows=4, tile_cols=4, zero_bitmap=True, step=3000)
    values = map_of(config, 1)
    frame = encode(values, config)
    assert parse_head(frame).modes.tolist() == [TileMode.CODED]
    found = decode(frame)
    coded = decode(frame).any(axis=0)  # blocks that are not all zero
    assert coded.any()
    assert ((found == 0) == (values == 0))[:, coded].all()


@pytest.mark.parametrize("coder", BLOCK_CODERS)
@pytest.mark.parametrize("dtype", list(Dtype))
def test_noise_is_stored_raw_and_comes_back_exactly(dtype: Dtype, coder: Coder) -> None:
    config = FrameConfig(
        13, 9, 7, dtype, tile_rows=4, tile_cols=3, burst_log2=3, coder=coder, step=STEP_MIN
    )
    rng = np.random.default_rng(2)
    values = rng.integers(*config.value_range, (13, 9, 7), dtype_of(config), endpoint=True)
    frame = encode(values, config)
    assert (parse_head(frame).modes == TileMode.RAW).all()
    assert len(frame) == config.max_bytes
    assert (decode(frame) == values).all()


@pytest.mark.parametrize("coder", BLOCK_CODERS)
@pytest.mark.parametrize("dtype", list(Dtype))
def test_a_map_of_the_zero_point_costs_only_widths(dtype: Dtype, coder: Coder) -> None:
    zero = -5 if dtype == Dtype.INT8 else 7
    config = FrameConfig(64, 8, 8, dtype, zero, 8, 8, coder=coder, zero_bitmap=True)
    values = np.full((64, 8, 8), zero, dtype_of(config))
    frame = encode(values, config)
    assert len(frame) == config.head_bytes + 64 * 8 * 8 // 8 // 2
    assert (decode(frame) == values).all()


@pytest.mark.parametrize("dtype", list(Dtype))
@pytest.mark.parametrize("step", [STEP_MIN, STEP_MAX])
@pytest.mark.parametrize("coder", BLOCK_CODERS)
def test_maps_of_one_value_survive_the_extreme_steps(coder: Coder, step: int, dtype: Dtype) -> None:
    base = FrameConfig(8, 4, 8, dtype, 0, 4, 8, 3, coder=coder, keep=1, step=step)
    low, high = base.value_range
    for zero in (low, 0, high):
        for value in (low, 0, high):
            config = replace(base, zero_point=zero)
            values = np.full((8, 4, 8), value, dtype_of(config))
            frame = encode(values, config)
            assert parse_head(frame).modes.tolist() == [TileMode.CODED]
            error = np.abs(decode(frame).astype(int) - value)
            assert error.max() <= step / STEP_PER_LSB / 2 / 8**0.5 + 2


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 9), (9, 1, 1), (1, 9, 1), (8, 1, 1)])
@pytest.mark.parametrize("coder", BLOCK_CODERS)
def test_the_smallest_maps_are_coded(coder: Coder, shape: tuple[int, int, int]) -> None:
    config = FrameConfig(*shape, coder=coder)
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert np.abs(decode(encode(values, config)).astype(int) - values).max() <= 8


@settings(max_examples=50, deadline=None, derandomize=True)
@given(configs(step=STEP_MIN), SEEDS)
def test_symbols_stay_within_their_limit_on_the_most_extreme_values(
    config: FrameConfig, seed: int
) -> None:
    ends = np.array(config.value_range)
    choice = np.random.default_rng(seed).integers(
        0, 2, (config.channels, config.height, config.width)
    )
    values = ends[choice].astype(dtype_of(config))
    assert np.abs(symbols_of_lanes(to_lanes(values, config), config)).max() <= SYMBOL_MAX
    decode(encode(values, config))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(configs(), configs(), SEEDS)
def test_tiles_and_bursts_do_not_change_coded_values(
    config: FrameConfig, other: FrameConfig, seed: int
) -> None:
    values = map_of(config, seed)
    other = replace(
        config,
        tile_rows=min(other.tile_rows, config.height),
        tile_cols=min(other.tile_cols, config.width),
        burst_log2=other.burst_log2,
    )
    frames = encode(values, config), encode(values, other)
    coded = [
        np.concatenate([
            np.full((t.rows, t.cols), mode == TileMode.CODED).ravel()
            for t, mode in zip(c.iter_tiles(), parse_head(f).modes, strict=True)
        ])
        for c, f in zip((config, other), frames, strict=True)
    ]  # fmt: skip
    if all(c.all() for c in coded):
        assert (decode(frames[0]) == decode(frames[1])).all()


def test_arrays_in_any_memory_order_are_coded_alike() -> None:
    config = FrameConfig(12, 6, 10, tile_rows=2, tile_cols=10)
    values = map_of(config, 3)
    frame = encode(values, config)
    wide = np.zeros((24, 12, 20), np.uint8)
    wide[::2, ::2, ::2] = values
    read_only = values.copy()
    read_only.flags.writeable = False
    for same in (
        np.asfortranarray(values),
        np.ascontiguousarray(values.transpose(1, 2, 0)).transpose(2, 0, 1),
        values[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
        wide[::2, ::2, ::2],
        read_only,
    ):
        assert encode(same, config) == frame


def test_a_decoded_map_is_contiguous_and_can_be_written() -> None:
    for spread in (10, 1000):  # coded tiles and raw ones
        config = FrameConfig(8, 4, 4, tile_rows=2, tile_cols=2)
        found = decode(encode(map_of(config, 4, spread), config))
        assert found.flags.c_contiguous
        assert found.flags.writeable


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_frame_may_be_any_kind_of_bytes(kind: Any) -> None:
    config = FrameConfig(8, 4, 4)
    values = map_of(config, 5)
    frame = encode(values, config)
    assert (decode(kind(frame)) == decode(frame)).all()


@pytest.mark.parametrize("frame", [None, 5, "FMZF", [1, 2]])
def test_a_frame_that_is_not_bytes_is_a_type_error(frame: Any) -> None:
    with pytest.raises(TypeError):
        decode(frame)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.int16, np.uint16, np.float32, np.float64, bool, object, "U1", "S1"]
)
def test_another_dtype_is_a_type_error_that_names_both(dtype: Any) -> None:
    values = np.zeros((8, 4, 4), dtype)
    with pytest.raises(TypeError, match=f"values must be uint8, not {values.dtype}"):
        encode(values, FrameConfig(8, 4, 4))


@pytest.mark.parametrize("shape", [(), (0,), (8, 4), (8, 4, 5), (1, 8, 4, 4), (8, 0, 4), (4, 4, 8)])
def test_another_shape_is_a_value_error_that_names_both(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape must be \(8, 4, 4\), not "):
        encode(np.zeros(shape, np.uint8), FrameConfig(8, 4, 4))


def test_values_that_are_no_array_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="values must be an array, not list"):
        encode([[[0]]], FrameConfig(1, 1, 1))  # type: ignore[arg-type]


def test_memory_for_a_large_map_is_a_small_multiple_of_the_map() -> None:
    config = FrameConfig(64, 128, 128, tile_rows=2, tile_cols=128)
    values = map_of(config, 6, 20)
    encode(values[:, :1, :1], FrameConfig(64, 1, 1))  # imports and tables
    tracemalloc.start()
    try:
        frame = encode(values, config)
        decode(frame)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 30 * values.size


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_vectors_are_encoded_and_decoded_as_ever(path: Path) -> None:
    vector = json.loads(path.read_text(encoding="utf-8"))
    config = FrameConfig(**vector["config"])
    # Vectors are never edited: one that is older than a field has its default.
    assert json.loads(json.dumps(asdict(config))).items() >= vector["config"].items()
    shape = (config.channels, config.height, config.width)
    values = np.array(vector["values"], dtype_of(config)).reshape(shape)
    frame = bytes.fromhex(vector["frame"])
    assert encode(values, config) == frame
    assert parse_head(frame).config == config
    found = decode(frame)
    assert found.dtype == values.dtype
    assert found.shape == shape
    assert found.ravel().tolist() == vector["decoded"]


def test_there_are_golden_vectors_of_both_modes_coders_and_dtypes() -> None:
    heads = [parse_head(bytes.fromhex(json.loads(p.read_text())["frame"])) for p in GOLDEN]
    assert len(GOLDEN) >= 12
    assert {h.config.coder for h in heads} == set(BLOCK_CODERS)
    assert {h.config.dtype for h in heads} == set(Dtype)
    assert {int(m) for h in heads for m in h.modes} == set(TileMode)
    assert all(p.stat().st_size < 8192 for p in GOLDEN)
