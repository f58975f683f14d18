"""Damaged and malicious frames: refused with ``FormatError``, cheaply, and with nothing else."""

import random
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.damage import entries, field, put, sealed, with_entries, with_tiles

from fmzip.errors import FormatError
from fmzip.format import (
    BLOCK_CODERS,
    HEAD,
    SECTION_BYTES,
    WIDTH_MAX,
    Coder,
    Dtype,
    FrameConfig,
    TileMode,
)
from fmzip.reference import decode, encode, parse_head

SMALL = FrameConfig(11, 3, 5, tile_rows=2, tile_cols=3, burst_log2=3, step=1500)


def map_of(config: FrameConfig, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (config.channels, config.height, config.width)
    values = rng.normal(0, 15, shape) + rng.normal(0, 25, (1, *shape[1:])) + config.zero_point
    dtype = config.dtype.name.lower()
    return np.clip(values, *config.value_range).astype(np.int16).astype(dtype)


def frame_of(config: FrameConfig) -> bytes:
    return encode(map_of(config), config)


def section(data: bytes) -> bytes:
    return data + bytes(-len(data) % SECTION_BYTES)


ONE_BLOCK = FrameConfig(8, 1, 1, burst_log2=3, keep=1)


def one_block(width: int, values: bytes, config: FrameConfig = ONE_BLOCK) -> bytes:
    return with_tiles(config, [section(bytes([width])) + values])


@pytest.mark.parametrize("coder", BLOCK_CODERS)
def test_every_single_bit_flip_is_detected(coder: Coder) -> None:
    config = FrameConfig(11, 3, 5, tile_rows=2, tile_cols=3, burst_log2=3, coder=coder)
    values = map_of(config)
    values[:, 2:] = np.random.default_rng(1).integers(0, 256, (11, 1, 5))
    frame = encode(values, config)
    assert set(parse_head(frame).modes.tolist()) == set(TileMode)
    number = int.from_bytes(frame, "little")
    for bit in range(8 * len(frame)):
        with pytest.raises(FormatError):
            decode((number ^ 1 << bit).to_bytes(len(frame), "little"))


def test_truncation_at_every_length_is_detected() -> None:
    frame = frame_of(SMALL)
    for size in range(len(frame)):
        with pytest.raises(FormatError, match=r"^truncated: |^CRC-32|^tiles is"):
            decode(frame[:size])


@pytest.mark.parametrize("more", [b"\0", bytes(8), b"FMZF", bytes(1000)])
def test_trailing_bytes_are_refused(more: bytes) -> None:
    with pytest.raises(FormatError, match="trailing bytes"):
        decode(frame_of(SMALL) + more)


def test_two_frames_in_a_row_are_not_one() -> None:
    with pytest.raises(FormatError, match="trailing bytes"):
        decode(2 * frame_of(SMALL))


@pytest.mark.parametrize(
    "data",
    [
        b"\x93NUMPY\x01\x00" + bytes(120),
        b"PK\x03\x04" + bytes(50),
        b"\x89PNG\r\n",
        b"hello",
        b"F\0",
    ],
)
def test_a_foreign_file_is_named_as_such(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^not a fmzip frame: it begins with b'"):
        decode(data)


def test_an_empty_file_is_truncated() -> None:
    with pytest.raises(FormatError, match=r"^truncated: 0 bytes"):
        decode(b"")


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_named(version: int) -> None:
    frame = sealed(put(frame_of(SMALL), "version", version), SMALL.head_bytes)
    with pytest.raises(FormatError, match=f"^format version {version}; this program reads 1$"):
        decode(frame)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dtype", 2),
        ("burst_log2", 2),
        ("burst_log2", 9),
        ("channels", 0),
        ("height", 0),
        ("width", 0),
        ("tile_rows", 0),
        ("tile_rows", 4),
        ("tile_cols", 0),
        ("tile_cols", 6),
        ("config_bytes", 0),
        ("config_bytes", 12),
        ("tiles", 0),
        ("tiles", 3),
        ("tiles", 5),
        ("tiles", 0xFFFFFFFF),
        ("transform", 0),
        ("transform", 2),
        ("coder", 0),
        ("coder", 3),
        ("options", 2),
        ("options", 0x81),
        ("keep", 0),
        ("step", 0),
        ("step", 127),
        ("tables", 1),
        ("payload_bursts", 0),
    ],
)
def test_an_impossible_field_is_refused_though_the_crcs_are_right(name: str, value: int) -> None:
    frame = sealed(put(frame_of(SMALL), name, value), SMALL.head_bytes)
    assert field(frame, name) == value
    with pytest.raises(FormatError, match=r"^(?!CRC)"):
        decode(frame)


@pytest.mark.parametrize("change", [-1, 1, 1000])
def test_a_payload_that_is_not_as_long_as_the_head_says_is_refused(change: int) -> None:
    frame = frame_of(SMALL)
    bursts = field(frame, "payload_bursts") + change
    with pytest.raises(FormatError, match=r"truncated|trailing bytes|offsets do not ascend"):
        decode(sealed(put(frame, "payload_bursts", bursts), SMALL.head_bytes))


@pytest.mark.parametrize(
    "change",
    [
        lambda index: [index[0] + 1, *index[1:]],  # the first tile not at 0
        lambda index: [index[0], index[2], index[1], *index[3:]],  # not ascending
        lambda index: [index[0], index[0], *index[2:]],  # a tile of no bytes
        lambda index: [*index[:-1], index[-1] + 10_000],  # behind the end
        lambda index: [*index[:-1], index[-1] | 2 << 30],  # unknown modes
        lambda index: [index[0] | 3 << 30, *index[1:]],
    ],
)
def test_an_impossible_index_is_refused(change: Callable[[list[int]], list[int]]) -> None:
    frame = frame_of(SMALL)
    with pytest.raises(FormatError, match=r"^tile index: "):
        decode(sealed(with_entries(frame, change(entries(frame))), SMALL.head_bytes))


@pytest.mark.parametrize("coder", BLOCK_CODERS)
def test_a_tile_with_the_other_mode_is_refused(coder: Coder) -> None:
    config = FrameConfig(16, 4, 4, tile_rows=1, tile_cols=4, burst_log2=3, coder=coder, step=3000)
    frame = frame_of(config)
    assert (parse_head(frame).modes == TileMode.CODED).all()
    index = [entry ^ 1 << 30 for entry in entries(frame)]
    with pytest.raises(FormatError, match="raw, but not 64 bytes and zeros"):
        decode(sealed(with_entries(frame, index), config.head_bytes))
    raw = with_tiles(config, [bytes([255] * 64)] * 4, [TileMode.RAW] * 4)
    assert (decode(raw) == 255).all()
    with pytest.raises(FormatError, match="a width is 15, the limit is 11"):
        decode(with_tiles(config, [bytes([255] * 64)] * 4))


def test_padding_that_is_not_zero_is_refused_though_the_crcs_are_right() -> None:
    config = FrameConfig(8, 1, 3, tile_cols=3, burst_log2=5, coder=Coder.BITMAP, keep=1)
    widths, bitmaps, values = bytes([0x11, 0x01]), bytes([0b101]), bytes([0b10])
    good = [section(widths), section(bitmaps), section(values)]
    assert decode(with_tiles(config, [b"".join(good)])).any()
    padding = {0: range(12, 64), 1: range(3, 64), 2: range(2, 64)}
    for part, bits in padding.items():
        for bit in bits:
            wrong = list(good)
            number = int.from_bytes(wrong[part], "little") | 1 << bit
            wrong[part] = number.to_bytes(8, "little")
            with pytest.raises(FormatError, match=r"padding|a width is"):
                decode(with_tiles(config, [b"".join(wrong)]))
    burst = b"".join(good) + b"\0\0\0\0\0\0\0\1"
    with pytest.raises(FormatError, match="padding of the values section"):
        decode(with_tiles(config, [burst]))
    head = bytearray(with_tiles(config, [b"".join(good)]))
    head[config.head_bytes - 5] = 1
    with pytest.raises(FormatError, match="padding of the head"):
        decode(sealed(bytes(head), config.head_bytes))
    raw = FrameConfig(1, 1, 1)
    with pytest.raises(FormatError, match="raw, but not 1 bytes and zeros"):
        decode(with_tiles(raw, [bytes([1, 0, 1])], [TileMode.RAW]))


def test_a_burst_too_many_is_refused() -> None:
    assert decode(one_block(4, section(b"\x05"))).any()
    with pytest.raises(FormatError, match="8 bytes follow the values section"):
        decode(one_block(4, section(b"\x05") + bytes(8)))
    with pytest.raises(FormatError, match="8 bytes follow"):
        decode(one_block(0, bytes(8)))
    with pytest.raises(FormatError, match="raw, but not"):
        decode(with_tiles(ONE_BLOCK, [bytes(16)], [TileMode.RAW]))


def test_a_section_that_runs_past_the_end_of_the_tile_is_refused() -> None:
    with pytest.raises(FormatError, match="the values section runs past the end"):
        decode(one_block(11, b""))
    config = FrameConfig(8, 1, 1, burst_log2=3, coder=Coder.BITMAP)
    with pytest.raises(FormatError, match="the bitmaps section runs past the end"):
        decode(one_block(1, b"", config))
    with pytest.raises(FormatError, match="the values section runs past the end"):
        decode(one_block(1, section(b"\xff"), config))
    wide = FrameConfig(8, 1, 40, tile_cols=40, burst_log2=3)
    with pytest.raises(FormatError, match="8 bytes cannot hold 40 widths"):
        decode(with_tiles(wide, [bytes(8)]))


@pytest.mark.parametrize("width", range(WIDTH_MAX + 1, 16))
def test_a_width_beyond_the_limit_is_refused(width: int) -> None:
    with pytest.raises(FormatError, match=f"a width is {width}, the limit is 11"):
        decode(one_block(width, bytes(8)))


def test_a_width_behind_the_last_block_is_refused() -> None:
    with pytest.raises(FormatError, match="tile 0: "):
        decode(one_block(0x10, b""))


@pytest.mark.parametrize(
    ("config", "code"),
    [
        (FrameConfig(8, 1, 1, keep=1), 1024),  # unsigned: 11 bits reach 2047
        (FrameConfig(8, 1, 1, keep=1), 2047),
        (FrameConfig(8, 1, 1, Dtype.INT8, keep=1), 1024),  # two's complement: -1024
        (FrameConfig(8, 1, 1, keep=2), 1024),
    ],
)
def test_a_symbol_beyond_the_limit_is_refused(config: FrameConfig, code: int) -> None:
    with pytest.raises(FormatError, match=r"a symbol lies outside \+-1023"):
        decode(one_block(11, code.to_bytes(8, "little"), config))


def test_the_bitmap_coder_cannot_exceed_the_limit_by_its_offset() -> None:
    config = FrameConfig(8, 1, 1, coder=Coder.BITMAP, keep=2)
    good = one_block(11, section(b"\x01") + (1022).to_bytes(8, "little"), config)
    decode(good)
    with pytest.raises(FormatError, match="a symbol lies outside"):
        decode(one_block(11, section(b"\x01") + (1023).to_bytes(8, "little"), config))


@pytest.mark.parametrize(
    "claims",
    [
        {"channels": 65535, "height": 65535, "width": 65535},
        {"channels": 65535, "height": 65535, "width": 65535, "tile_rows": 65535,
         "tile_cols": 65535, "tiles": 1},
        {"height": 65535, "width": 65535, "tiles": 65535**2, "tile_rows": 1, "tile_cols": 1},
        {"height": 65535, "width": 65535, "tiles": 1, "tile_rows": 65535, "tile_cols": 65535},
        {"channels": 65535, "tiles": 1, "tile_rows": 3, "tile_cols": 5},
        {"channels": 65535, "height": 32767, "width": 2, "tile_rows": 32767, "tile_cols": 2,
         "tiles": 1},
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", list(TileMode))
def test_a_head_that_claims_a_huge_map_is_refused_cheaply(
    claims: dict[str, int], mode: TileMode
) -> None:
    config = FrameConfig(8, 3, 5, tile_rows=3, tile_cols=5, burst_log2=8)
    frame = with_tiles(config, [bytes(200)], [mode])
    for name, value in claims.items():
        frame = put(frame, name, value)
    frame = sealed(frame, config.head_bytes)
    tracemalloc.start()
    try:
        begin = time.monotonic()
        with pytest.raises(FormatError):
            decode(frame)
        assert time.monotonic() - begin < 1
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def survives(frame: bytes) -> bool:
    """Whether the frame can be decoded; any error but ``FormatError`` is a failure."""
    try:
        found = decode(frame)
    except FormatError:
        return False
    head = parse_head(frame)
    config = head.config
    assert found.shape == (config.channels, config.height, config.width)
    return True


@pytest.mark.parametrize("coder", BLOCK_CODERS)
@pytest.mark.parametrize("zero_bitmap", [False, True])
def test_frames_with_random_damage_and_right_crcs_are_decoded_or_refused(
    zero_bitmap: bool, coder: Coder
) -> None:
    config = FrameConfig(
        11, 3, 5, Dtype.INT8, -3, 2, 3, 3, coder=coder, zero_bitmap=zero_bitmap, step=900
    )
    frame = frame_of(config)
    rng = random.Random(7)
    decoded = 0
    for _ in range(4000):
        damaged = bytearray(frame)
        for _ in range(rng.choice((1, 1, 2, 5, 20))):
            # The middle of the head is where the most can go wrong.
            place = rng.choice((rng.randrange(5, 64), rng.randrange(len(frame))))
            damaged[place] = rng.choice((rng.randrange(256), damaged[place] ^ 1, 0, 255, 1))
        decoded += survives(sealed(bytes(damaged), config.head_bytes))
    assert 100 < decoded < 3900


def test_tiles_of_random_symbols_are_decoded_or_refused() -> None:
    rng = random.Random(8)
    decoded = 0
    for _ in range(2000):
        keep = rng.randrange(1, 256)
        config = FrameConfig(8, 1, 2, tile_cols=2, burst_log2=3, coder=Coder.BITMAP, keep=keep)
        widths = [rng.randrange(WIDTH_MAX + 1) for _ in range(2)]
        flags = [rng.getrandbits(keep.bit_count()) if w else 0 for w in widths]
        stored = sum(w * f.bit_count() for w, f in zip(widths, flags, strict=True))
        stored = max(stored + rng.choice((0, 0, 0, 0, -1, 1, 70)), 0)
        bitmaps = flags[0] | flags[1] << (keep.bit_count() if widths[0] else 0)
        tile = section(bytes([widths[0] | widths[1] << 4]))
        tile += section(bitmaps.to_bytes(2, "little")) if any(widths) else b""
        tile += section(rng.getrandbits(stored).to_bytes((stored + 7) // 8, "little"))
        decoded += survives(with_tiles(config, [tile]))
    assert 500 < decoded < 1900


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_are_refused(data: bytes, with_magic: bool) -> None:
    assert not survives((b"FMZF\x01" if with_magic else b"") + data)


def test_every_value_of_every_byte_of_the_head_is_decoded_or_refused() -> None:
    config = FrameConfig(8, 2, 2, tile_rows=1, tile_cols=2, burst_log2=3)
    frame = frame_of(config)
    for place in range(HEAD[-1].offset):
        for value in range(256):
            damaged = frame[:place] + bytes([value]) + frame[place + 1 :]
            survives(sealed(damaged, config.head_bytes))
