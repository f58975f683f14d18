"""Baselines: round trips, sizes, hand-made streams, damaged streams."""

import math
import sys
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmzip.baselines import (
    BASELINES,
    Baseline,
    Bits4,
    Entropy,
    Rle,
    RlePairs,
    Zstd,
    Zvc,
    baseline_of,
    bits4_step,
)
from fmzip.baselines.ebpc import Ebpc, bpc_bits, bpc_encode
from fmzip.codecs import CODECS, PROJECTION_CODECS
from fmzip.errors import FmzipError, FormatError

CODES = [baseline for baseline in BASELINES.values() if not baseline.bound]
LOSSLESS = [baseline for baseline in CODES if baseline.lossless]


def called(baseline: Baseline) -> str:
    return baseline.name


@st.composite
def maps(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """A map and its zero point: few to many zeros, flat to noisy."""
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)))
    dtype = draw(st.sampled_from([np.uint8, np.int8]))
    info = np.iinfo(dtype)
    zero_point = draw(st.sampled_from([0, int(info.min), int(info.max)]) | st.integers(0, 100))
    zero_point = min(max(zero_point, info.min), info.max)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.sampled_from([1, 3, 40, 1000]))
    noise = np.rint(rng.normal(0, spread, shape)) + draw(st.sampled_from([0, 0, 20]))
    values = np.clip(noise + zero_point, info.min, info.max).astype(dtype)
    values[rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.9, 0.99, 1.0]))] = zero_point
    return values, zero_point


class TestEveryBaseline:
    @pytest.mark.parametrize("baseline", LOSSLESS, ids=called)
    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(case=maps())
    def test_a_lossless_one_gives_back_every_value(
        self, baseline: Baseline, case: tuple[np.ndarray, int]
    ) -> None:
        values, zero_point = case
        stream = baseline.encode(values, zero_point)
        decoded = baseline.decode(stream, values.shape, values.dtype, zero_point)
        assert decoded.dtype == values.dtype
        assert np.array_equal(decoded, values)

    @pytest.mark.parametrize("baseline", CODES, ids=called)
    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(case=maps())
    def test_its_size_is_that_of_its_stream_in_whole_bursts(
        self, baseline: Baseline, case: tuple[np.ndarray, int]
    ) -> None:
        length = len(baseline.encode(*case))
        assert baseline.bits(*case) == 8 * length
        assert baseline.bus_bytes(*case) == 32 * math.ceil(length / 32)
        assert baseline.bus_bytes(*case, burst_bytes=64) == 64 * math.ceil(length / 64)

    @pytest.mark.parametrize("baseline", CODES, ids=called)
    def test_a_large_map_makes_the_round_trip(self, baseline: Baseline) -> None:
        rng = np.random.default_rng(1)
        values = np.maximum(rng.normal(-10, 40, (64, 30, 31)).cumsum(axis=2), 0)
        values = np.minimum(values, 255).astype(np.uint8)
        stream = baseline.encode(values)
        assert baseline.bits(values) == 8 * len(stream)
        decoded = baseline.decode(stream, values.shape, values.dtype)
        limit = 0 if baseline.lossless else 8
        assert np.abs(decoded.astype(int) - values).max() <= limit

    @pytest.mark.parametrize("baseline", CODES, ids=called)
    def test_order_is_that_of_channels_first_whatever_the_memory_layout(
        self, baseline: Baseline
    ) -> None:
        rng = np.random.default_rng(2)
        values = rng.integers(0, 3, (5, 6, 7), np.uint8) * 40
        other = np.asfortranarray(values)
        assert baseline.encode(other) == baseline.encode(values)
        assert baseline.bus_bytes(other) == baseline.bus_bytes(values)

    @pytest.mark.parametrize("baseline", CODES, ids=called)
    def test_a_signed_map_is_coded_like_the_unsigned_one_raised_by_128(
        self, baseline: Baseline
    ) -> None:
        rng = np.random.default_rng(3)
        values = rng.integers(100, 140, (4, 5, 6)).astype(np.uint8)
        signed = (values.astype(int) - 128).astype(np.int8)
        assert baseline.encode(signed, -10) == baseline.encode(values, 118)

    @pytest.mark.parametrize(
        "baseline", [baseline for baseline in CODES if baseline.name != "zstd"], ids=called
    )
    def test_a_damaged_stream_is_an_error_of_one_line_or_another_map(
        self, baseline: Baseline
    ) -> None:
        rng = np.random.default_rng(4)
        values = rng.integers(0, 256, (3, 5, 7), np.uint8)
        values[rng.random(values.shape) < 0.5] = 0
        stream = baseline.encode(values)
        for damaged in (b"", stream[:-1], stream[: len(stream) // 2], stream + b"\1" * 9):
            with pytest.raises(FormatError, match=f"^{baseline.name}: "):
                baseline.decode(damaged, values.shape, np.uint8)
        for _ in range(300):
            flipped = bytearray(stream)
            flipped[rng.integers(len(stream))] ^= 1 << int(rng.integers(8))
            with suppress(FormatError):
                decoded = baseline.decode(bytes(flipped), values.shape, np.uint8)
                assert decoded.shape == values.shape

    @pytest.mark.parametrize("baseline", BASELINES.values(), ids=called)
    def test_it_says_where_it_comes_from_and_what_it_is(self, baseline: Baseline) -> None:
        assert baseline_of(baseline.name) is baseline
        assert baseline.source
        assert not baseline.bound or baseline.name == "entropy"
        assert baseline.name not in CODECS
        assert baseline.name not in PROJECTION_CODECS

    def test_what_is_no_map_is_refused(self) -> None:
        ok = np.zeros((2, 3, 4), np.uint8)
        with pytest.raises(ValueError, match="values must be uint8 or int8, not int16"):
            Zvc().encode(ok.astype(np.int16))
        with pytest.raises(ValueError, match=r"shape must be \[C, H, W\], 1 or more each, not \[6"):
            Zvc().bus_bytes(ok.reshape(6, 4))
        with pytest.raises(ValueError, match="1 or more each"):
            Zvc().encode(ok[:0])
        with pytest.raises(ValueError, match="zero_point must be -128 to 127, not 128"):
            Rle().encode(ok.view(np.int8), 128)
        with pytest.raises(ValueError, match="zero_point must be 0 to 255, not -1"):
            Rle().decode(b"", (1, 1, 1), np.uint8, -1)
        with pytest.raises(ValueError, match=r"baseline must be one of zvc, .*, not 'gzip'"):
            baseline_of("gzip")


def row(*values: int) -> np.ndarray:
    return np.array(values, np.uint8).reshape(1, 1, -1)


def bits_of(*codes: str) -> bytes:
    bits = "".join(codes)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[k : k + 8], 2) for k in range(0, len(bits), 8))


class TestStreams:
    """Streams written by hand from the formats."""

    def test_zvc_is_a_bitmap_of_32_flags_and_the_values_that_are_not_zero(self) -> None:
        values = row(*[0, 7, 0, 9] + [0] * 28, 5)
        assert Zvc().encode(values) == bytes([0b1010, 0, 0, 0, 7, 9, 1, 0, 0, 0, 5])

    def test_rle_is_a_flag_and_a_value_or_a_run(self) -> None:
        values = row(7, 0, 0, 9, *[0] * 33)
        expected = bits_of("1", "00000111", "0", "00001", "1", "00001001", "0", "11111", "000000")
        assert Rle().encode(values) == expected

    def test_pairs_are_a_run_and_the_value_behind_it(self) -> None:
        values = row(7, 0, 0, 9, *[0] * 32, 3, 0, 0)
        pairs = [(0, 7), (2, 9), (31, 0), (0, 3), (1, 0)]
        assert RlePairs().encode(values) == bits_of(*(f"{r:05b}{v:08b}" for r, v in pairs))

    def test_ebpc_is_zero_runs_and_planes_of_differences(self) -> None:
        # Base 10 and differences of 1: plane 0 is all ones, and the change to it, too.
        values = row(*range(10, 18), *[0] * 18)
        zeros = bits_of("1" * 8, "0" + "1111", "0" + "0001")
        planes = bits_of(f"{10:08b}", "001" + "110", "00000")
        assert Ebpc().encode(values) == bytes([len(zeros), 0, 0, 0]) + zeros + planes

    @pytest.mark.parametrize(
        ("block", "codes"),
        [
            ([5] * 8, ["001" + "111"]),  # 9 planes without change
            # One difference of +1: plane 0 has one bit.
            ([5, 5, 6, 6, 6, 6, 6, 6], ["001" + "110", "00011" + "001"]),
            ([5, 5, 6, 7, 7, 7, 7, 7], ["001" + "110", "00010" + "001"]),
            ([5, 6, 6, 7, 7, 7, 7, 7], ["001" + "110", "1" + "1010000"]),
            # One difference of 2: plane 1 has a bit, plane 0 none, which is a change to zero.
            ([5, 7, 7, 7, 7, 7, 7, 7], ["001" + "101", "00011" + "000", "00001"]),
            # One of -1: all planes have the bit, from the sign on.
            ([5, 5, 5, 5, 5, 5, 5, 4], ["00011" + "110", "001" + "110"]),
            # One of 4, one of 1: planes 2 and 0; the change between them is two single bits.
            (
                [5, 9, 9, 9, 9, 9, 9, 10],
                ["001" + "100", "00011" + "000", "00001", "00011" + "110"],
            ),
            # A run of one plane without change: differences of 3.
            ([5, 8, 8, 8, 8, 8, 8, 8], ["001" + "101", "00011" + "000", "01"]),
        ],
    )
    def test_each_code_of_a_plane_is_as_published(self, block: list[int], codes: list[str]) -> None:
        values = np.array(block, np.uint8)
        bits = f"{block[0]:08b}" + "".join(codes)
        assert bpc_encode(values) == bits_of(bits)
        assert bpc_bits(values) == len(bits)

    def test_the_last_block_is_filled_up_with_its_last_value(self) -> None:
        assert bpc_encode(np.array([5, 6], np.uint8)) == bpc_encode(
            np.array([5, 6, 6, 6, 6, 6, 6, 6], np.uint8)
        )

    def test_worst_cases_are_those_of_the_formats(self) -> None:
        dense = np.random.default_rng(5).integers(1, 256, (8, 32, 32), np.uint8)
        n = dense.size
        assert Zvc().bits(dense) == 9 * n
        assert Rle().bits(dense) == 9 * n
        assert RlePairs().bits(dense) == 13 * n
        # 1 bit for the flag, 10 symbols of 8 bits for 8 values, less what noise happens to save.
        assert 10.5 * n < Ebpc().bits(dense) <= 11 * n + 32 + 16


class TestBounds:
    def test_entropy_is_that_of_the_values(self) -> None:
        values = np.repeat(np.array([0, 1, 2, 3], np.uint8), [32, 16, 8, 8]).reshape(1, 8, 8)
        assert Entropy().bits(values) == pytest.approx(64 * 1.75)
        assert Entropy().bits(values.view(np.int8) - np.int8(100), 5) == pytest.approx(64 * 1.75)
        assert Entropy().bits(np.full((3, 4, 5), 9, np.uint8)) == 0

    def test_a_bound_has_no_stream_and_no_bytes_on_the_bus(self) -> None:
        values = row(1, 2, 3)
        for use in (
            lambda: Entropy().encode(values),
            lambda: Entropy().bus_bytes(values),
            lambda: Entropy().decode(b"", (1, 1, 3), np.uint8),
        ):
            with pytest.raises(TypeError, match="entropy is a bound"):
                use()

    def test_codes_of_single_values_are_not_below_it(self) -> None:
        rng = np.random.default_rng(6)
        values = np.minimum(rng.exponential(20, (16, 20, 20)), 255).astype(np.uint8)
        for baseline in (Zvc(), Rle(), RlePairs()):
            assert baseline.bits(values) >= Entropy().bits(values)


class TestBits4:
    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(case=maps(), percent=st.integers(5, 100))
    def test_zero_is_exact_and_what_is_not_clamped_is_near(
        self, case: tuple[np.ndarray, int], percent: int
    ) -> None:
        values, zero_point = case
        step = 17 * percent / 100
        coder = Bits4(step)
        decoded = coder.decode(
            coder.encode(values, zero_point), values.shape, values.dtype, zero_point
        )
        assert decoded.dtype == values.dtype
        assert (decoded[values == zero_point] == zero_point).all()
        # Clamped values lie beyond the last level, which a map with all values then shows.
        every = np.arange(-128, 128) + (128 if values.dtype == np.uint8 else 0)
        every = every.astype(values.dtype).reshape(1, 16, 16)
        levels = coder.decode(
            coder.encode(every, zero_point), (1, 16, 16), values.dtype, zero_point
        )
        assert len(set(levels.reshape(-1).tolist())) <= 16
        inside = (values <= levels.max()) & (values >= levels.min())
        error = np.abs(decoded.astype(int) - values)[inside]
        assert (error <= math.ceil(step / 2)).all()

    def test_the_whole_range_has_16_levels_of_17(self) -> None:
        values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
        decoded = Bits4().decode(Bits4().encode(values), values.shape, np.uint8)
        assert sorted(set(decoded.reshape(-1).tolist())) == [17 * k for k in range(16)]

    def test_a_step_from_a_histogram_has_a_smaller_error(self) -> None:
        rng = np.random.default_rng(7)
        values = np.minimum(rng.exponential(12, (8, 30, 30)), 255).astype(np.uint8)
        values[0, 0, 0] = 255
        step = bits4_step(np.bincount(values.reshape(-1), minlength=256), np.uint8, 0)
        assert 2 < step < 10

        def error(coder: Bits4) -> float:
            decoded = coder.decode(coder.encode(values), values.shape, np.uint8)
            return float(((decoded.astype(float) - values) ** 2).mean())

        assert error(Bits4(step)) < error(Bits4()) / 3

    def test_an_impossible_step_is_refused(self) -> None:
        for step in (0, -1, 17.5):
            with pytest.raises(ValueError, match="step must be above 0 and at most 17"):
                Bits4(step)


class TestZstd:
    def test_damage_is_one_line(self) -> None:
        values = np.zeros((3, 40, 50), np.uint8)
        stream = Zstd().encode(values)
        with pytest.raises(FormatError, match=r"^zstd: the stream is damaged"):
            Zstd().decode(stream[:3], values.shape, np.uint8)
        with pytest.raises(FormatError, match="holds 6000 values, not 1"):
            Zstd().decode(stream, (1, 1, 1), np.uint8)

    def test_without_the_package_the_error_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "zstandard", None)
        with pytest.raises(FmzipError, match=r"pip install 'fmzip\[measure\]'"):
            Zstd().encode(row(1))
