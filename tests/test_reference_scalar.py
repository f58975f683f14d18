"""The reference against a second reading of docs/format.md: one value at a time, plain integers.

The codec below is written from the text of the format alone, tables included, so that a slip in
``fmzip.format`` or a vectorised step of the reference cannot hide in both.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmzip.format import BLOCK_CODERS, Coder, Dtype, FrameConfig
from fmzip.reference import dct, decode, encode
from fmzip.reference.quantise import quantise

MATRIX = [
    [64, 64, 64, 64, 64, 64, 64, 64],
    [89, 75, 50, 18, -18, -50, -75, -89],
    [83, 36, -36, -83, -83, -36, 36, 83],
    [75, -18, -89, -50, 50, 89, 18, -75],
    [64, -64, -64, 64, 64, -64, -64, 64],
    [50, -89, 18, 75, -75, -18, 89, -50],
    [36, -83, 83, -36, -36, 83, -83, 36],
    [18, -50, 75, -89, 89, -75, 50, -18],
]


def crc(data: bytes) -> int:
    """CRC-32, bit by bit: polynomial 0xEDB88320 reflected, start and final XOR all ones."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0xEDB88320 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def padded(data: bytes, multiple: int) -> bytes:
    return data + bytes(-len(data) % multiple)


@dataclass
class Setup:
    """The fields of the head that describe the map and its coding."""

    dtype: int
    zero_point: int
    burst: int
    channels: int
    height: int
    width: int
    tile_rows: int
    tile_cols: int
    coder: int
    zero_bitmap: int
    keep: list[int]
    step: int

    @property
    def low(self) -> int:
        return -128 if self.dtype else 0

    @property
    def unipolar(self) -> bool:
        return self.zero_point == self.low

    def tiles(self) -> Iterator[list[tuple[int, int]]]:
        """Of each tile, row and column of its pixels in wire order."""
        for top in range(0, self.height, self.tile_rows):
            for left in range(0, self.width, self.tile_cols):
                yield [
                    (row, col)
                    for row in range(top, min(top + self.tile_rows, self.height))
                    for col in range(left, min(left + self.tile_cols, self.width))
                ]


class BitReader:
    """Bits of bytes, the lowest bit of the first byte first."""

    def __init__(self, data: bytes) -> None:
        self.number = int.from_bytes(data, "little")
        self.at = 0

    def take(self, bits: int) -> int:
        value = self.number >> self.at & (1 << bits) - 1
        self.at += bits
        return value


class BitWriter:
    def __init__(self) -> None:
        self.number = 0
        self.at = 0

    def put(self, value: int, bits: int) -> None:
        self.number |= (value & (1 << bits) - 1) << self.at
        self.at += bits

    def section(self) -> bytes:
        return padded(self.number.to_bytes((self.at + 7) // 8, "little"), 8)


def signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def bits_of(code: int, unsigned: bool) -> int:
    """Bits of a code that is not the code of symbol 0."""
    if unsigned:
        return max(code.bit_length(), 1)
    return (code if code >= 0 else -code - 1).bit_length() + 1


def scalar_quantise(y: int, step: int) -> int:
    multiplier = (2**23 + step // 2) // step
    return (y * multiplier + 2**22) // 2**23


def scalar_block(symbols: list[int], step: int) -> list[int]:
    """Values minus zero point, not yet clamped."""
    c = [max(-4096, min(4095, (s * step + 16) // 32)) for s in symbols]
    return [(sum(MATRIX[k][j] * c[k] for k in range(8)) + 512) // 1024 for j in range(8)]


def scalar_coded_tile(blocks: list[list[int]], s: Setup) -> bytes:
    widths, bitmaps, values = BitWriter(), BitWriter(), BitWriter()
    for block in blocks:
        symbols = [0] * 8
        for k in s.keep:
            y = sum(MATRIX[k][j] * (block[j] - s.zero_point) for j in range(8))
            symbols[k] = scalar_quantise(y, s.step)
        codes = list(symbols)
        if s.coder == 2:
            codes = [c - 1 if c > 0 else c for c in symbols]
        needed = [bits_of(codes[k], s.unipolar and k == 0) for k in range(8) if symbols[k] != 0]
        width = max(needed, default=0)
        widths.put(width, 4)
        if width == 0:
            continue
        if s.zero_bitmap:
            for value in block:
                bitmaps.put(value != s.zero_point, 1)
        for k in s.keep:
            if s.coder == 2:
                bitmaps.put(symbols[k] != 0, 1)
            if s.coder == 1 or symbols[k] != 0:
                values.put(codes[k], width)
    return widths.section() + bitmaps.section() + values.section()


def scalar_encode(values: np.ndarray, s: Setup) -> bytes:
    array = values.tolist()
    payload, index = b"", b""
    for pixels in s.tiles():
        blocks = []
        raw = b""
        for row, col in pixels:
            pixel = [array[c][row][col] for c in range(s.channels)]
            raw += bytes(v & 0xFF for v in pixel)
            pixel += [s.zero_point] * (-s.channels % 8)
            blocks += [pixel[k : k + 8] for k in range(0, len(pixel), 8)]
        coded = padded(scalar_coded_tile(blocks, s), s.burst)
        raw = padded(raw, s.burst)
        is_raw = len(raw) <= len(coded)
        index += struct.pack("<I", len(payload) // s.burst | is_raw << 30)
        payload += raw if is_raw else coded
    keep = sum(1 << k for k in s.keep)
    head = struct.pack(
        "<4sBBBBHHHHHHIBBBBHHII",
        b"FMZF", 1, s.dtype, s.zero_point & 0xFF, s.burst.bit_length() - 1,
        s.channels, s.height, s.width, s.tile_rows, s.tile_cols, 8, len(index) // 4,
        1, s.coder, s.zero_bitmap, keep, s.step, 0, len(payload) // s.burst, crc(payload),
    )  # fmt: skip
    head += index
    head += bytes(-(len(head) + 4) % s.burst)
    return head + struct.pack("<I", crc(head)) + payload


def scalar_decode(frame: bytes) -> tuple[Setup, list[list[list[int]]]]:
    (magic, version, dtype, zero, burst_log2, channels, height, width, tile_rows, tile_cols, size,
     tiles, transform, coder, options, keep, step, reserved, bursts, payload_crc,
    ) = struct.unpack_from("<4sBBBBHHHHHHIBBBBHHII", frame)  # fmt: skip
    assert (magic, version, size, transform, reserved) == (b"FMZF", 1, 8, 1, 0)
    s = Setup(
        dtype, signed(zero, 8) if dtype else zero, 1 << burst_log2,
        channels, height, width, tile_rows, tile_cols,
        coder, options, [k for k in range(8) if keep >> k & 1], step,
    )  # fmt: skip
    head_bytes = -(-(40 + 4 * tiles + 4) // s.burst) * s.burst
    assert struct.unpack_from("<I", frame, head_bytes - 4)[0] == crc(frame[: head_bytes - 4])
    payload = frame[head_bytes:]
    assert len(payload) == bursts * s.burst
    assert payload_crc == crc(payload)
    index = struct.unpack_from(f"<{tiles}I", frame, 40)
    bounds = [(entry & (1 << 30) - 1) * s.burst for entry in index] + [len(payload)]
    out = [[[0] * width for _ in range(height)] for _ in range(channels)]
    for t, pixels in enumerate(s.tiles()):
        data = payload[bounds[t] : bounds[t + 1]]
        per_pixel = -(-channels // 8)
        if index[t] >> 30 == 1:
            flat = [signed(v, 8) if dtype else v for v in data]
            found = [flat[k * channels : (k + 1) * channels] for k in range(len(pixels))]
        else:
            flat = scalar_tile_values(data, len(pixels) * per_pixel, s)
            lanes = 8 * per_pixel
            found = [flat[k * lanes : (k + 1) * lanes] for k in range(len(pixels))]
        for (row, col), pixel in zip(pixels, found, strict=True):
            for c in range(channels):
                out[c][row][col] = pixel[c]
    return s, out


def scalar_tile_values(data: bytes, blocks: int, s: Setup) -> list[int]:
    reader = BitReader(data)
    widths = [reader.take(4) for _ in range(blocks)]
    at = len(padded(bytes((blocks + 1) // 2), 8))
    per_block = 8 * s.zero_bitmap + len(s.keep) * (s.coder == 2)
    bitmaps = BitReader(data[at:])
    bits = per_block * sum(w > 0 for w in widths)
    values = BitReader(data[at + len(padded(bytes((bits + 7) // 8), 8)) :])
    out = []
    for width in widths:
        if width == 0:
            out += [s.zero_point] * 8
            continue
        nonzero = [bitmaps.take(1) for _ in range(8)] if s.zero_bitmap else [1] * 8
        stored = [k for k in s.keep if s.coder == 1 or bitmaps.take(1)]
        symbols = [0] * 8
        for k in stored:
            code = values.take(width)
            if not (s.unipolar and k == 0):
                code = signed(code, width)
            symbols[k] = code + 1 if s.coder == 2 and code >= 0 else code
        for x, there in zip(scalar_block(symbols, s.step), nonzero, strict=True):
            if not there:
                x = 0
            elif s.zero_bitmap and s.unipolar:
                x = max(x, 1)
            out.append(max(s.low, min(s.low + 255, x + s.zero_point)))
    return out


@st.composite
def setups(draw: st.DrawFn) -> FrameConfig:
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    dtype = draw(st.sampled_from(Dtype))
    low = -128 if dtype == Dtype.INT8 else 0
    return FrameConfig(
        draw(st.integers(1, 20)),
        height,
        width,
        dtype,
        draw(st.just(low) | st.integers(low, low + 255)),
        draw(st.integers(1, height)),
        draw(st.integers(1, width)),
        draw(st.integers(3, 8)),
        coder=draw(st.sampled_from(BLOCK_CODERS)),
        zero_bitmap=draw(st.booleans()),
        keep=draw(st.just(0xFF) | st.integers(1, 0xFF)),
        step=draw(st.sampled_from([128, 129, 65535]) | st.integers(128, 9000)),
    )


def setup_of(c: FrameConfig) -> Setup:
    return Setup(
        int(c.dtype), c.zero_point, c.burst_bytes, c.channels, c.height, c.width,
        c.tile_rows, c.tile_cols, int(c.coder), int(c.zero_bitmap),
        [k for k in range(8) if c.keep >> k & 1], c.step,
    )  # fmt: skip


def map_of(c: FrameConfig, seed: int, spread: float) -> np.ndarray:
    """A map with correlated channels, zeros, and clipped ends."""
    rng = np.random.default_rng(seed)
    shape = (c.channels, c.height, c.width)
    values = c.zero_point + rng.normal(0, spread, (1, *shape[1:])) + rng.normal(0, spread, shape)
    values = np.where(rng.random(shape) < 0.2, c.zero_point, values.round())
    return np.clip(values, *c.value_range).astype(np.int16).astype(c.dtype.name.lower())


@settings(max_examples=250, deadline=None, derandomize=True)
@given(setups(), st.integers(0, 2**32 - 1), st.sampled_from([0.6, 3.0, 15.0, 60.0, 400.0]))
def test_encoder_and_decoder_equal_the_scalar_codec(
    config: FrameConfig, seed: int, spread: float
) -> None:
    values = map_of(config, seed, spread)
    frame = encode(values, config)
    setup, expected = scalar_decode(frame)
    assert setup == setup_of(config)
    assert decode(frame).tolist() == expected
    assert frame == scalar_encode(values, setup)


@pytest.mark.parametrize("step", [128, 129, 181, 724, 1023, 4096, 65535])
def test_quantiser_equals_the_scalar_one_on_every_coefficient(step: int) -> None:
    y = np.arange(-130_560, 130_561, dtype=np.int32)
    found = quantise(y, step)
    expected = [scalar_quantise(int(v), step) for v in y[::7]]
    assert found[::7].tolist() == expected
    # A true division, rounded, differs only where the multiplier's own rounding can matter.
    assert np.abs(found - np.round(y / step)).max() <= 1


def test_transforms_equal_the_matrix_products() -> None:
    rng = np.random.default_rng(5)
    t = np.concatenate([rng.integers(-255, 256, (8, 500)), 255 * rng.choice([-1, 1], (8, 500))], 1)
    forward = dct.forward(t.astype(np.int32))
    assert (forward == np.array(MATRIX) @ t).all()
    assert np.abs(forward).max() <= 130_560
    c = rng.integers(-4096, 4096, (8, 1000))
    c[:, ::2] = rng.choice([-4096, 4095], (8, 500))
    expected = (np.array(MATRIX).T @ c + 512) // 1024
    assert (dct.inverse(c.astype(np.int32)) == expected).all()


def test_the_check_value_of_the_crc_is_the_published_one() -> None:
    assert crc(b"123456789") == crc32(b"123456789") == 0xCBF43926


def any_of(**kwargs: Any) -> FrameConfig:
    return FrameConfig(8, 2, 2, **kwargs)


@pytest.mark.parametrize("coder", BLOCK_CODERS)
@pytest.mark.parametrize("keep", range(1, 256))
def test_every_keep_mask_equals_the_scalar_codec(keep: int, coder: Coder) -> None:
    config = any_of(keep=keep, coder=coder, burst_log2=3, tile_rows=2, tile_cols=2)
    values = map_of(config, keep, 40)
    frame = encode(values, config)
    setup, expected = scalar_decode(frame)
    assert decode(frame).tolist() == expected
    assert frame == scalar_encode(values, setup)
