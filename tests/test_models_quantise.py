"""The 8-bit quantiser of stored maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmzip.format import Dtype
from fmzip_models import quantise
from fmzip_models.quantise import Scale, clip_range, from_range, histogram

limits = st.floats(2**-10, 2**10, width=32)


def test_a_map_that_is_never_negative_is_uint8_with_zero_point_0() -> None:
    scale = from_range(0.0, 5.1, signed=False)
    assert (scale.dtype, scale.zero_point) == (Dtype.UINT8, 0)
    codes = scale.quantise(np.array([0, 5.1, 2.55, 9, -1], np.float32))
    assert codes.dtype == np.uint8
    assert codes.tolist() == [0, 255, 128, 255, 0]


def test_a_signed_map_is_int8_with_a_zero_point() -> None:
    scale = from_range(-1.0, 3.0, signed=True)
    assert (scale.dtype, scale.zero_point) == (Dtype.INT8, -64)
    codes = scale.quantise(np.array([-1, 0, 3, -9, 9], np.float32))
    assert codes.dtype == np.int8
    assert codes.tolist() == [-128, -64, 127, -128, 127]


def test_ties_go_to_even() -> None:
    scale = Scale(1.0, 0, Dtype.UINT8)
    assert scale.quantise(np.float32([0.5, 1.5, 2.5, 3.5])).tolist() == [0, 2, 2, 4]


@given(limits, limits, st.booleans())
def test_the_error_inside_the_range_is_at_most_half_an_lsb_and_zero_is_exact(
    low: float, high: float, signed: bool
) -> None:
    scale = from_range(-low, high, signed)
    values = np.linspace(-low if signed else 0, high, 1001, dtype=np.float32)
    error = np.abs(scale.dequantise(scale.quantise(values)) - values) / scale.scale
    # The zero point is rounded, so a signed range can lose another half LSB at its ends.
    assert error.max() <= (1.0 if signed else 0.5) + 1e-3
    assert np.median(error) <= 0.5
    zero = scale.quantise(np.zeros(1, np.float32))
    assert zero.tolist() == [scale.zero_point]
    assert scale.dequantise(zero).tolist() == [0.0]


@given(limits, limits, st.booleans())
def test_quantising_again_changes_nothing(low: float, high: float, signed: bool) -> None:
    scale = from_range(-low, high, signed)
    codes = np.arange(scale.limits[0], scale.limits[1] + 1)
    np.testing.assert_array_equal(scale.quantise(scale.dequantise(codes)), codes)


def test_a_map_that_is_zero_everywhere_has_a_scale() -> None:
    for high in (0.0, 1e-44):
        for signed in (False, True):
            scale = from_range(0.0, high, signed)
            assert scale.dequantise(scale.quantise(np.zeros(3, np.float32))).tolist() == [0, 0, 0]


def test_the_scale_is_a_float32_number() -> None:
    scale = from_range(0.0, 1.0, signed=False)
    assert scale.scale == float(np.float32(1 / 255))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan, 1e-60])
def test_an_impossible_scale_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale must be a positive float32"):
        Scale(scale, 0, Dtype.UINT8)


def test_an_impossible_zero_point_is_refused() -> None:
    with pytest.raises(ValueError, match="zero_point must be -128 to 127, not 128"):
        Scale(1.0, 128, Dtype.INT8)


def test_a_histogram_counts_every_value_once() -> None:
    values = np.float32([-1, -1, 0, 0.9999, 1])
    counts = histogram(values, -1.0, 1.0)
    assert counts.sum() == 5
    assert (counts[0], counts[quantise.BINS // 2], counts[-1]) == (2, 1, 2)
    assert histogram(np.zeros(7, np.float32), 0.0, 0.0).sum() == 7


def range_of(values: np.ndarray, method: str, signed: bool) -> tuple[float, float]:
    low, high = min(0.0, float(values.min())), float(values.max())
    return clip_range(histogram(values, low, high), low, high, method, signed)


def test_max_keeps_the_whole_range() -> None:
    values = np.float32([0, 1, 100])
    assert range_of(values, "max", signed=False) == (0, 100)


def test_percentile_cuts_outliers_at_both_ends_of_a_signed_map() -> None:
    values = np.random.default_rng(1).normal(size=100_000).astype(np.float32)
    values[:2] = -50, 100
    low, high = range_of(values, "percentile", signed=True)
    exact = np.percentile(values, (0.005, 99.995))
    np.testing.assert_allclose((low, high), exact, atol=2 * 150 / quantise.BINS)


def test_percentile_keeps_the_zero_end_of_a_map_that_is_never_negative() -> None:
    values = np.abs(np.random.default_rng(1).normal(size=100_000)).astype(np.float32)
    low, high = range_of(values, "percentile", signed=False)
    assert low == 0
    np.testing.assert_allclose(high, np.percentile(values, 99.99), rtol=0.01)


@pytest.mark.parametrize("signed", [False, True])
def test_mse_has_the_least_squared_error(signed: bool) -> None:
    values = np.random.default_rng(1).laplace(size=200_000).astype(np.float32)
    values = values if signed else np.abs(values)

    def error(method: str) -> float:
        scale = from_range(*range_of(values, method, signed), signed)
        return float(np.square(scale.dequantise(scale.quantise(values)) - values).mean())

    assert error("mse") < 0.99 * error("max")


def test_an_unknown_method_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="method must be one of max, percentile, mse, not 'kl'"):
        clip_range(np.ones(quantise.BINS), 0, 1, "kl", signed=False)
