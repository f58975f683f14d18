"""The tables of the format: limits, sizes, order of tiles, and what a configuration refuses."""

import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmzip import format as fmt
from fmzip.codecs import CODECS, STEP_LSB_MAX, STEP_LSB_MIN, codec_config, codec_of, step_units
from fmzip.format import Coder, Dtype, FrameConfig, Transform


@st.composite
def shapes(draw: st.DrawFn) -> FrameConfig:
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    return FrameConfig(
        draw(st.integers(1, 300)),
        height,
        width,
        tile_rows=draw(st.integers(1, height)),
        tile_cols=draw(st.integers(1, width)),
        burst_log2=draw(st.integers(3, 8)),
    )


def test_fields_of_the_head_follow_each_other_without_gaps() -> None:
    offset = 0
    for field in fmt.HEAD:
        assert field.offset == offset
        offset += field.size
    assert offset == fmt.INDEX_OFFSET == 40
    assert fmt.STATIC_BYTES == 32
    assert fmt.CONFIG_BYTES == 8


def test_rows_of_the_transform_are_nearly_orthogonal_with_the_norm_of_the_step_unit() -> None:
    for i, j in product(range(fmt.BLOCK), repeat=2):
        dot = sum(a * b for a, b in zip(fmt.DCT8[i], fmt.DCT8[j], strict=True))
        assert abs(dot / fmt.STEP_PER_LSB**2 - (i == j)) < 1.6e-3


def test_no_coefficient_gives_a_symbol_beyond_the_limit() -> None:
    largest = max(sum(map(abs, row)) for row in fmt.DCT8) * 255
    assert largest == 130_560
    for sign in (1, -1):
        y = sign * largest
        symbol = (y * fmt.multiplier(fmt.STEP_MIN) + 2**22) >> fmt.QUANT_SHIFT
        assert abs(symbol) <= fmt.SYMBOL_MAX


def test_the_multiplier_fits_its_width_for_every_step() -> None:
    multipliers = [fmt.multiplier(s) for s in range(fmt.STEP_MIN, fmt.STEP_MAX + 1)]
    assert max(multipliers) < 1 << fmt.MULTIPLIER_BITS
    assert min(multipliers) == 128
    assert all(abs(m * s - 2**23) <= s / 2 for s, m in enumerate(multipliers, fmt.STEP_MIN))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(shapes())
def test_tiles_cover_every_pixel_once_in_the_order_of_rows(config: FrameConfig) -> None:
    tiles = list(config.iter_tiles())
    assert len(tiles) == config.tiles
    assert tiles == sorted(tiles)
    seen = [
        (row, col)
        for t in tiles
        for row in range(t.row, t.row + t.rows)
        for col in range(t.col, t.col + t.cols)
    ]
    assert sorted(seen) == list(product(range(config.height), range(config.width)))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(shapes())
def test_the_largest_frame_is_the_head_and_all_tiles_raw(config: FrameConfig) -> None:
    tiles = sum(
        fmt.round_up(t.rows * t.cols * config.channels, config.burst_bytes)
        for t in config.iter_tiles()
    )
    assert config.max_bytes == config.head_bytes + tiles
    assert config.head_bytes % config.burst_bytes == 0
    spare = config.head_bytes - fmt.INDEX_OFFSET - 4 * config.tiles - fmt.CRC_BYTES
    assert 0 <= spare < config.burst_bytes


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 65535), st.integers(1, 65535), st.integers(1, 65535))
def test_default_tiles_fit_the_map_and_the_buffers_of_the_gateware(
    channels: int, height: int, width: int
) -> None:
    rows, cols = fmt.default_tile(channels, height, width)
    assert 1 <= rows <= height
    assert 1 <= cols <= width
    per_pixel = fmt.ceil_div(channels, fmt.BLOCK)
    assert rows * cols * per_pixel <= max(fmt.TILE_BLOCKS_MAX, per_pixel)
    assert rows == 1 or cols == width


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("channels", 0, "channels must be 1 to 65535, not 0"),
        ("height", 65536, "height must be 1 to 65535, not 65536"),
        ("width", -1, "width must be 1 to 65535, not -1"),
        ("tile_rows", 5, "tile_rows must be 1 to 4, not 5"),
        ("tile_cols", 0, "tile_cols must be 1 to 6, not 0"),
        ("burst_log2", 2, "burst_log2 must be 3 to 8, not 2"),
        ("burst_log2", 9, "burst_log2 must be 3 to 8, not 9"),
        ("zero_point", -1, "zero_point must be 0 to 255, not -1"),
        ("zero_point", 256, "zero_point must be 0 to 255, not 256"),
        ("keep", 0, "keep must be 1 to 255, not 0"),
        ("keep", 256, "keep must be 1 to 255, not 256"),
        ("step", 127, "step must be 128 to 65535, not 127"),
        ("step", 65536, "step must be 128 to 65535, not 65536"),
        ("dtype", 2, "dtype must be 0 (uint8) or 1 (int8), not 2"),
        (
            "transform",
            0,
            "transform must be 1 (dct8) or 2 (bypass) or 3 (nibbles) or 4 (wht4) or "
            "5 (projection) or 6 (projection4) or 7 (bits) or 8 (bits4), not 0",
        ),
        (
            "coder",
            6,
            "coder must be 1 (width) or 2 (bitmap) or 3 (rans) or 4 (huffman) or 5 (gf2), not 6",
        ),
        (
            "coder",
            "width",
            "coder must be 1 (width) or 2 (bitmap) or 3 (rans) or 4 (huffman) or 5 (gf2), "
            "not 'width'",
        ),
    ],
)
def test_a_value_outside_its_range_is_refused_with_the_range(
    name: str, value: object, says: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        replace(FrameConfig(8, 4, 6), **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["channels", "height", "zero_point", "step", "keep"])
@pytest.mark.parametrize("value", [1.5, "1", None])
def test_a_parameter_that_is_not_an_integer_is_a_type_error(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be an integer, not "):
        replace(FrameConfig(8, 4, 6), **{name: value})  # type: ignore[arg-type]


def test_int8_has_its_own_range_of_zero_points() -> None:
    assert FrameConfig(1, 1, 1, Dtype.INT8, -128).unipolar
    assert not FrameConfig(1, 1, 1, Dtype.INT8, 127).unipolar
    with pytest.raises(ValueError, match="zero_point must be -128 to 127, not 128"):
        FrameConfig(1, 1, 1, Dtype.INT8, 128)


def test_plain_integers_become_enums() -> None:
    config = FrameConfig(1, 1, 1, 1, coder=2, transform=1)  # type: ignore[arg-type]
    assert config.dtype is Dtype.INT8
    assert config.coder is Coder.BITMAP
    assert config.transform is Transform.DCT8


def test_a_map_beyond_the_reach_of_the_tile_index_is_refused() -> None:
    limit = fmt.PAYLOAD_BURSTS_MAX
    FrameConfig(8, 1 << 15, 1 << 15, burst_log2=3)
    with pytest.raises(ValueError, match=f"too large: {2 * limit} bursts.*limit is {limit}"):
        FrameConfig(16, 1 << 15, 1 << 15, burst_log2=3)
    with pytest.raises(ValueError, match="too large"):
        FrameConfig(65535, 65535, 65535, tile_rows=65535, tile_cols=65535)


@pytest.mark.parametrize("name", list(CODECS))
def test_a_named_codec_configures_any_map(name: str) -> None:
    config = codec_config(name, (64, 56, 55), Dtype.INT8, -7, 4.0)
    assert (config.channels, config.height, config.width) == (64, 56, 55)
    assert (config.dtype, config.zero_point, config.step) == (Dtype.INT8, -7, 724)
    assert (config.tile_rows, config.tile_cols) == fmt.default_tile(64, 56, 55)
    assert config.burst_bytes == 32
    assert config.coder == {"dctcm": Coder.BITMAP, "dctcm-width": Coder.WIDTH}[name]


def test_a_tile_and_a_burst_can_be_chosen() -> None:
    config = codec_of("dctcm").config((8, 9, 10), Dtype.UINT8, 0, 4, tile=(3, 5), burst_bytes=256)
    assert (config.tile_rows, config.tile_cols, config.burst_log2) == (3, 5, 8)
    with pytest.raises(ValueError, match="burst must be 8, 16, 32, 64, 128, 256 bytes, not 24"):
        codec_of("dctcm").config((8, 9, 10), Dtype.UINT8, 0, 4, burst_bytes=24)


@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 0), (1, 8, 9, 10), (65536, 1, 1), ()])
def test_a_shape_that_is_not_a_map_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"not {list(shape)}")):
        codec_config("dctcm", shape, Dtype.UINT8, 0, 4)


def test_an_unknown_codec_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="codec must be dctcm or dctcm-width, not 'jpeg'"):
        codec_of("jpeg")


def test_steps_in_lsb_reach_both_limits_of_the_frame() -> None:
    assert step_units(STEP_LSB_MIN) == fmt.STEP_MIN
    assert step_units(STEP_LSB_MAX) == fmt.STEP_MAX
    assert step_units(4) == 724
    for step in (0.0, -1.0, 0.7, 363.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"step must be 0\.707 to 362\.03 LSB, not "):
            step_units(step)
