"""Damaged and malicious frames of the coder RANS: refused with ``FormatError``, or decoded."""

import random
import resource
import time
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from tests.damage import put, sealed, with_tiles
from tests.rans_cases import fitting_tables, map_of, random_tables, rans_config, statistic

from fmzip.errors import FormatError
from fmzip.format import (
    RANS_TRANSFORMS,
    STATE_SETS,
    Dtype,
    FrameConfig,
    TileMode,
    Transform,
    round_up,
)
from fmzip.reference import decode, encode, parse_head, rans, ransframe, split_frame
from fmzip.tables import Coding, Tables


def small(transform: Transform, seed: int = 0) -> tuple[bytes, FrameConfig, Tables]:
    """A frame of coded and raw tiles, with escapes, padding lanes and an odd height."""
    tables = fitting_tables(transform)
    config = rans_config(
        transform, 30, 5, 6, Dtype.INT8, tables=tables, zero_point=-3, tile_rows=4, tile_cols=6,
        burst_log2=3, step=100,
    )  # fmt: skip
    values = map_of(config, seed, 0.5)
    values[:, 4:] = np.random.default_rng(seed).integers(-128, 128, values[:, 4:].shape)
    values[3, 0, 2:4] = 110
    return encode(values, config, Coding(tables)), config, tables


@pytest.mark.parametrize("transform", RANS_TRANSFORMS)
def test_every_single_bit_flip_is_detected(transform: Transform) -> None:
    frame, _, tables = small(transform)
    assert set(parse_head(frame).modes.tolist()) == set(TileMode)
    number = int.from_bytes(frame, "little")
    for bit in range(8 * len(frame)):
        with pytest.raises(FormatError):
            decode((number ^ 1 << bit).to_bytes(len(frame), "little"), tables)


def test_truncation_at_every_length_is_detected() -> None:
    frame, _, tables = small(Transform.WHT4)
    for size in range(len(frame)):
        with pytest.raises(FormatError, match=r"^truncated: |^CRC-32|^tiles is"):
            decode(frame[:size], tables)


def survives(frame: bytes, tables: Tables) -> bool:
    """Whether the frame can be decoded; any error but ``FormatError`` is a failure.

    A coded tile that is accepted must be what a writer makes of its symbols.
    """
    try:
        found = decode(frame, tables)
    except FormatError:
        return False
    except ValueError as error:
        if str(error).startswith(("tables have the id", "tables are for")):
            return False  # the head is now that of a frame with other tables
        raise
    head, tiles = split_frame(frame)
    config = head.config
    assert found.shape == (config.channels, config.height, config.width)
    if config.rans:
        model = rans.model_of(tables)
        places = zip(config.iter_tiles(), head.modes.tolist(), pairwise(head.offsets), strict=True)
        for tile, mode, (start, stop) in places:
            if mode == TileMode.CODED:
                data = tiles[start:stop]
                z = ransframe.decode_tile(data, TileMode(mode), config, tile, model)
                again = ransframe.coded_tile(ransframe.tokens(z, config, model)[0], model)
                assert again.ljust(round_up(len(again), config.burst_bytes), b"\0") == data
    return True


def damaged(frame: bytes, head_bytes: int, rng: random.Random) -> bytes:
    """A frame with some bytes changed, and right CRCs."""
    changed = bytearray(frame)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        # The head's fields, and escapes and states at a tile's beginning, decide the most.
        place = rng.choice((
            rng.randrange(5, head_bytes),
            head_bytes + rng.randrange(24),
            rng.randrange(len(frame)),
        ))  # fmt: skip
        changed[place] = rng.choice((rng.randrange(256), changed[place] ^ 1, 0, 255, 1))
    if rng.random() < 0.1:  # a burst less or more
        more = len(frame) - 8 if rng.random() < 0.5 else len(frame) + 8
        changed = changed.ljust(more, b"\0")[:more]
        bursts = parse_head(frame).offsets[-1] // 8 + (more - len(frame)) // 8
        changed = bytearray(put(bytes(changed), "payload_bursts", int(bursts)))
    return sealed(bytes(changed), head_bytes)


def attack(transform: Transform, seed: int, times: int) -> int:
    """Decode damaged frames; how many were accepted."""
    rng = random.Random(seed)
    accepted = 0
    for part in range(10):
        frame, config, tables = small(transform, seed * 10 + part)
        for _ in range(times // 10):
            accepted += survives(damaged(frame, config.head_bytes, rng), tables)
    return accepted


@pytest.mark.parametrize("transform", RANS_TRANSFORMS)
def test_frames_with_random_damage_and_right_crcs_are_decoded_or_refused(
    transform: Transform,
) -> None:
    assert 100 < attack(transform, 1, 3000) < 2900


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("transform", RANS_TRANSFORMS)
def test_a_million_damaged_frames_are_decoded_or_refused(transform: Transform, seed: int) -> None:
    attack(transform, seed, 1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.monotonic()
    assert 1000 < attack(transform, seed, 34_000) < 33_000
    assert time.monotonic() - begin < 600
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_random_states_and_bytes_are_decoded_or_refused() -> None:
    rng = np.random.default_rng(3)
    for seed in range(300):
        transform = RANS_TRANSFORMS[seed % 3]
        tables = random_tables(rng, transform)
        config = rans_config(
            transform, 16, 6, 6, tables=tables, tile_rows=6, tile_cols=6, burst_log2=3, step=64
        )
        count = int(rng.integers(0, 30))
        escapes = count.to_bytes(2, "little") + rng.bytes(count)
        escapes += bytes(-len(escapes) % 8)
        states = rng.integers(256, 65536, 80).astype("<u2").tobytes()
        frame = with_tiles(config, [escapes + states + rng.bytes(int(rng.integers(0, 400)))])
        survives(frame, tables)


# One position of 8 lanes, with a statistic in which tokens 0 to 3 and the escape are alike.
TABLES = Tables(bytes(512), bytes([52, 51, 51, 51] + [0] * 27 + [51]))
ONE = rans_config(Transform.BYPASS, 8, 1, 1, tables=TABLES, burst_log2=3, step=64)


def one(symbols: list[int], config: FrameConfig = ONE, tables: Tables = TABLES) -> bytes:
    """The coded tile of one slot, which a writer would store raw, without padding."""
    model = rans.model_of(tables)
    slot = np.array([symbols], np.uint8)
    return ransframe.coded_tile(rans.tokens_of(slot, rans.layout_of(config, 1), model), model)


def refused(says: str, tile: bytes, config: FrameConfig = ONE, tables: Tables = TABLES) -> None:
    with pytest.raises(FormatError, match=f"^tile 0: {says}"):
        decode(with_tiles(config, [tile]), tables)


def test_a_coded_tile_is_decoded_where_a_writer_would_have_stored_a_raw_one() -> None:
    symbols = [0, 1, 2, 3, 4, 9, 255, 0]
    frame = with_tiles(ONE, [one(symbols)])
    assert decode(frame, TABLES).ravel().tolist() == symbols


def test_escapes_that_do_not_fit_are_refused() -> None:
    tile = one([0, 1, 2, 3, 4, 9, 255, 0])
    assert tile[:8] == bytes([3, 0, 4, 9, 255, 0, 0, 0])
    refused("its escapes end before its symbols", bytes([2]) + tile[1:4] + bytes(4) + tile[8:])
    refused("escapes are left over", bytes([4]) + tile[1:])
    refused("padding of the escapes is not zero", tile[:7] + b"\1" + tile[8:])
    for token in range(4):
        wrong = tile[:3] + bytes([token]) + tile[4:]
        refused("an escape is a token of its statistic", wrong)
    many = (4096).to_bytes(2, "little") + bytes([9]) * 4096
    refused("4096 escapes, a coded tile has at most 4095", many.ljust(4104, b"\0") + tile[8:])
    refused("24 bytes, with 65535 escapes it has at least", b"\xff\xff" + tile[2:24])


def test_states_and_bytes_that_do_not_come_out_are_refused() -> None:
    tile = one([0, 1, 2, 3, 0, 1, 2, 3])
    assert len(tile) == 24  # no escapes, 8 states, no bytes
    for low in (0, 1, 255):
        refused(f"a state is {low}, the lowest is 256", tile[:8] + bytes([low, 0]) + tile[10:])
    for place in range(8, 24):
        for bit in range(8):
            wrong = bytearray(tile)
            wrong[place] ^= 1 << bit
            refused("", bytes(wrong))
    refused("8 bytes follow the symbols, expected padding", tile + bytes(8))
    refused("8 bytes follow the symbols, expected padding", tile + bytes(7) + b"\1")
    for size in (8, 16):
        refused(f"{size} bytes, with 0 escapes it has at least 24", tile[:size])
    # Slots enough that bytes are needed.
    wide = rans_config(
        Transform.BYPASS, 8, 1, 50, tables=TABLES, tile_cols=50, burst_log2=3, step=64
    )
    model = rans.model_of(TABLES)
    slots = np.random.default_rng(0).integers(0, 4, (50, 8), np.uint8)
    tile = ransframe.coded_tile(rans.tokens_of(slots, rans.layout_of(wide, 50), model), model)
    found = decode(with_tiles(wide, [tile]), TABLES)
    assert found[:, 0].T.tolist() == slots.tolist()
    refused("its bytes end before its symbols", tile[: len(tile) // 8 * 8 - 8], wide)
    refused("", tile[:-1] + bytes([tile[-1] ^ 1]), wide)


def test_padding_to_the_burst_must_be_zero_and_less_than_a_burst() -> None:
    config = rans_config(Transform.BYPASS, 8, 1, 1, tables=TABLES, burst_log2=5, step=64)
    tile = one([0, 1, 2, 3, 0, 1, 2, 3], config)
    assert decode(with_tiles(config, [tile]), TABLES).ravel().tolist() == [0, 1, 2, 3] * 2
    for place in range(24, 32):
        refused("8 bytes follow", tile.ljust(place, b"\0") + b"\1", config)
    refused("40 bytes follow", tile + bytes(40), config)


@pytest.mark.parametrize("symbols", [[0, 16], [16, 0], [0, 30], [30, 0], [0, 31], [200, 0]])
def test_a_nibble_above_15_is_refused(symbols: list[int]) -> None:
    limit = 30 if max(symbols) < 31 else 3  # as a token, and as an escape
    of = statistic(np.random.default_rng(0), limit, 0.9, 50)
    tables = Tables(bytes(1024), of)
    config = rans_config(Transform.NIBBLES, 8, 1, 1, tables=tables, burst_log2=3, step=64)
    model = rans.model_of(tables)
    slots = np.repeat(np.array(symbols, np.uint8)[:, None], 8, axis=1)
    tile = ransframe.coded_tile(rans.tokens_of(slots, rans.layout_of(config, 1), model), model)
    refused("a nibble is above 15", tile, config, tables)


@pytest.mark.parametrize("transform", RANS_TRANSFORMS)
def test_a_raw_tile_of_another_size_or_with_padding_that_is_not_zero_is_refused(
    transform: Transform,
) -> None:
    tables = fitting_tables(transform)
    config = rans_config(transform, 3, 1, 1, tables=tables, burst_log2=4, step=64)
    size = config.raw_bytes(1, 1)
    assert size == (12 if transform == Transform.WHT4 else 3)
    good = bytes([5]) * size
    decode(with_tiles(config, [good], [TileMode.RAW]), tables)
    for wrong in (good.ljust(15, b"\0") + b"\1", good.ljust(16, b"\0") + bytes(16)):
        with pytest.raises(FormatError, match=f"^tile 0: raw, but not {size} bytes and zeros"):
            decode(with_tiles(config, [wrong], [TileMode.RAW]), tables)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transform", 0), ("transform", 1), ("transform", 5), ("coder", 1), ("coder", 2),
        ("coder", 4), ("options", 1), ("keep", 0x7F), ("keep", 0), ("step", 63), ("step", 0),
        ("tile_rows", 3), ("tile_cols", 5), ("tiles", 1), ("tiles", 3),
    ],
)  # fmt: skip
def test_an_impossible_field_is_refused_though_the_crcs_are_right(name: str, value: int) -> None:
    frame, config, tables = small(Transform.WHT4)
    with pytest.raises(FormatError, match=r"^(?!CRC)"):
        decode(sealed(put(frame, name, value), config.head_bytes), tables)


@pytest.mark.parametrize("transform", RANS_TRANSFORMS)
@pytest.mark.parametrize("mode", list(TileMode))
@pytest.mark.parametrize(
    "claims",
    [
        {"channels": 65535, "height": 65535, "width": 65535},
        {"height": 65535, "width": 65535, "tile_rows": 65535, "tile_cols": 65535},
        {"channels": 65535},
        {"channels": 512, "height": 128, "width": 128, "tile_rows": 128, "tile_cols": 128},
    ],
)
def test_a_head_that_claims_a_huge_map_is_refused_cheaply(
    claims: dict[str, int], mode: TileMode, transform: Transform
) -> None:
    tables = fitting_tables(transform)
    config = rans_config(
        transform, 8, 4, 6, tables=tables, tile_rows=4, tile_cols=6, burst_log2=8, step=64
    )
    states = np.full(8 * STATE_SETS, 0xFFFF, "<u2").tobytes()
    frame = with_tiles(config, [bytes(8) + states], [mode])
    for name, value in claims.items():
        frame = put(frame, name, value)
    frame = sealed(frame, config.head_bytes)
    rans.model_of(tables)
    tracemalloc.start()
    try:
        begin = time.monotonic()
        with pytest.raises(FormatError):
            decode(frame, tables)
        assert time.monotonic() - begin < 1
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
