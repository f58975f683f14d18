"""Damaged and malicious frames of the coder HUFFMAN: refused with ``FormatError``, or decoded."""

import random
import resource
import time
import tracemalloc

import numpy as np
import pytest
from tests.damage import put, sealed, with_tiles
from tests.projection_cases import fitting_coding, frame, map_of

from fmzip.codebooks import code_lengths
from fmzip.errors import FormatError
from fmzip.format import (
    HUFFMAN_ESCAPE,
    HUFFMAN_TOKENS,
    PROJECTIONS,
    Dtype,
    FrameConfig,
    TileMode,
    Transform,
)
from fmzip.projection import Projection, ProjectionCoding
from fmzip.reference import decode, encode, parse_head


def small(transform: Transform, seed: int = 1) -> tuple[bytes, FrameConfig, ProjectionCoding]:
    """A frame of coded and raw tiles, with escapes, an odd height and padding."""
    rng = np.random.default_rng(seed)
    coding = fitting_coding(rng, 5, transform)
    config = frame(coding, (5, 5, 6), transform, dtype=Dtype.INT8, zero_point=-3, tile_rows=2)
    values = map_of(rng, config, 4.0)
    values[:, 4:] = rng.choice([-128, 127], values[:, 4:].shape)
    values[2, 0, 0] = 127
    return encode(values, config, coding), config, coding


@pytest.mark.parametrize("transform", PROJECTIONS)
def test_every_single_bit_flip_is_detected(transform: Transform) -> None:
    data, _, coding = small(transform)
    assert set(parse_head(data).modes.tolist()) == set(TileMode)
    number = int.from_bytes(data, "little")
    for bit in range(8 * len(data)):
        with pytest.raises((FormatError, ValueError)) as error:
            decode((number ^ 1 << bit).to_bytes(len(data), "little"), coding.tables)
        assert isinstance(error.value, FormatError)


def test_truncation_at_every_length_is_detected() -> None:
    data, _, coding = small(Transform.PROJECTION)
    for size in range(len(data)):
        with pytest.raises(FormatError, match=r"^truncated: |^CRC-32|^tiles is"):
            decode(data[:size], coding.tables)


def damaged(frame: bytes, head_bytes: int, rng: random.Random) -> bytes:
    """A frame with bits, bytes or words of it changed, with right CRCs."""
    changed = bytearray(frame)
    for _ in range(rng.randint(1, 4)):
        # Seldom the head: most of its fields are refused at once.
        first = 0 if rng.random() < 0.2 else head_bytes
        at = rng.randrange(first, len(changed))
        kind = rng.randrange(4)
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at] = rng.choice((0, 255, rng.randrange(256)))
        elif kind == 2:
            changed[at : at + 8] = rng.randbytes(min(8, len(changed) - at))
        else:
            end = min(len(changed), at + rng.randrange(16))
            changed[at:end] = bytes(end - at)
    return sealed(bytes(changed), head_bytes)


def survives(frame: bytes, tables: Projection) -> bool:
    """Whether the frame can be decoded; an error other than ``FormatError`` is a failure.

    A head that names another projection, or another size of one, is the caller's mistake.
    """
    try:
        found = decode(frame, tables)
    except FormatError:
        return False
    except ValueError as error:
        if not str(error).startswith("the projection"):
            raise
        return False
    config = parse_head(frame).config
    assert found.shape == (config.channels, config.height, config.width)
    return True


def attack(transform: Transform, seed: int, times: int) -> int:
    """Decode damaged frames; how many were accepted."""
    rng = random.Random(seed)
    data, config, coding = small(transform, seed)
    return sum(survives(damaged(data, config.head_bytes, rng), coding.tables) for _ in range(times))


@pytest.mark.parametrize("transform", PROJECTIONS)
def test_frames_with_random_damage_and_right_crcs_are_refused_or_decoded(
    transform: Transform,
) -> None:
    assert 20 < attack(transform, 1, 600) < 580


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("transform", PROJECTIONS)
def test_a_million_damaged_frames_are_refused_or_decoded(transform: Transform, seed: int) -> None:
    attack(transform, seed, 1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.monotonic()
    accepted = sum(attack(transform, 100 * seed + part, 5000) for part in range(10))
    assert 500 < accepted < 49_500
    assert time.monotonic() - begin < 600
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def one_tile(*bits: str) -> tuple[FrameConfig, ProjectionCoding, bytes]:
    """A frame of one pixel and one component whose tokens 0, 1 and 44 have codes 0, 10 and 11."""
    counts = np.zeros(HUFFMAN_TOKENS)
    counts[[0, 1, HUFFMAN_ESCAPE]] = 4, 2, 1
    rng = np.random.default_rng(3)
    known = fitting_coding(rng, 1, Transform.PROJECTION)
    tables = Projection(known.tables.inverse, code_lengths(counts)[None], np.zeros(1, np.uint8))
    coding = ProjectionCoding(tables, known.forward)
    config = frame(coding, (1, 1, 1), Transform.PROJECTION, tile_rows=1, tile_cols=1)
    text = "".join(bits)
    data = bytes(int(text[k : k + 8][::-1], 2) for k in range(0, len(text), 8))
    return config, coding, with_tiles(config, [data])


def test_an_escape_that_is_needed_is_read() -> None:
    _, coding, data = one_tile("11", f"{24:011b}"[::-1])
    assert decode(data, coding.tables).tolist() == [[[12 * 4]]]


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (("11", f"{0:011b}"), "an escape of a symbol that has a code"),
        (("11", f"{2047:011b}"), "a symbol outside"),
        (("0", "1"), "bits follow the symbols"),
        (("0", "0" * 71), "bits follow the symbols"),
    ],
)
def test_tiles_that_no_writer_makes_are_refused(bits: tuple[str, ...], message: str) -> None:
    _, coding, data = one_tile(*bits)
    with pytest.raises(FormatError, match=message):
        decode(data, coding.tables)


def test_bits_that_are_no_code_are_refused() -> None:
    config, coding, _ = one_tile("0")
    lengths = coding.tables.lengths.copy()
    lengths[0, HUFFMAN_ESCAPE] = 3
    tables = Projection(coding.tables.inverse, lengths, coding.tables.books)
    config = frame(ProjectionCoding(tables, coding.forward), (1, 1, 1), Transform.PROJECTION)
    with pytest.raises(FormatError, match="bits that are no code"):
        decode(with_tiles(config, [b"\x07"]), tables)


def test_a_raw_tile_with_a_symbol_that_none_has_is_refused() -> None:
    config, coding, _ = one_tile("0")
    with pytest.raises(FormatError, match="a symbol outside"):
        decode(with_tiles(config, [b"\xff\x07"], [TileMode.RAW]), coding.tables)
    with pytest.raises(FormatError, match="raw, but not 2 bytes"):
        decode(with_tiles(config, [bytes(9)], [TileMode.RAW]), coding.tables)
    with pytest.raises(FormatError, match="bits follow"):
        decode(with_tiles(config, [b"\x01\x08"], [TileMode.RAW]), coding.tables)
    assert decode(with_tiles(config, [b"\x04"], [TileMode.RAW]), coding.tables).tolist() == [[[8]]]


def test_a_head_that_claims_more_than_its_tiles_hold_takes_no_memory() -> None:
    _, coding, _ = one_tile("0")
    large = frame(coding, (1, 60000, 60000), Transform.PROJECTION, tile_rows=60000, tile_cols=60000)
    data = with_tiles(large, [bytes(64)])
    tracemalloc.start()
    with pytest.raises(FormatError, match="cannot hold 3600000000 symbols"):
        decode(data, coding.tables)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "value"), [("step", 0), ("step", 7), ("options", 1), ("keep", 1), ("transform", 2)]
)
def test_heads_that_are_none_are_refused(name: str, value: int) -> None:
    data, config, coding = small(Transform.PROJECTION)
    with pytest.raises(FormatError, match=r"^head: "):
        decode(sealed(put(data, name, value), config.head_bytes), coding.tables)


def test_codebooks_that_are_no_prefix_code_are_refused() -> None:
    _, coding, _ = one_tile("0")
    for change, message in (
        ({0: 1, 1: 1, HUFFMAN_ESCAPE: 1}, "no prefix code"),
        ({HUFFMAN_ESCAPE: 0}, "has no escape"),
        ({HUFFMAN_ESCAPE: 16}, "a code of 16 bits"),
    ):
        lengths = coding.tables.lengths.copy()
        lengths[0, list(change)] = list(change.values())
        with pytest.raises(FormatError, match=message):
            Projection(coding.tables.inverse, lengths, coding.tables.books)
    with pytest.raises(FormatError, match="has codebook 1"):
        Projection(coding.tables.inverse, coding.tables.lengths, np.ones(1, np.uint8))
