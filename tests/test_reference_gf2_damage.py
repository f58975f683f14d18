"""Damaged and malicious frames of bit planes: refused with ``FormatError``, or decoded."""

import random
import tracemalloc

import numpy as np
import pytest
from tests.damage import put, sealed
from tests.gf2_cases import frame, map_of, random_coding

from fmzip.errors import FormatError
from fmzip.format import BIT_TRANSFORMS, Dtype, FrameConfig, Transform
from fmzip.gf2 import PlaneCoding, Rule
from fmzip.reference import decode, encode


def small(transform: Transform, coded: bool) -> tuple[bytes, FrameConfig, PlaneCoding]:
    rng = np.random.default_rng(1)
    coding = random_coding(rng, 3, transform, 11, Rule.POPCOUNT, Rule.POPCOUNT, coded=coded)
    tile = {"tile_rows": 2} if coded else {}
    config = frame(coding, (3, 5, 6), transform, dtype=Dtype.INT8, zero_point=-3, **tile)
    return encode(map_of(rng, config), config, coding), config, coding


@pytest.mark.parametrize("transform", BIT_TRANSFORMS)
@pytest.mark.parametrize("coded", [False, True])
def test_every_single_bit_flip_is_detected(transform: Transform, coded: bool) -> None:
    data, _, coding = small(transform, coded)
    number = int.from_bytes(data, "little")
    for bit in range(8 * len(data)):
        with pytest.raises(FormatError):
            decode((number ^ 1 << bit).to_bytes(len(data), "little"), coding.tables)


def test_truncation_at_every_length_is_detected() -> None:
    data, _, coding = small(Transform.BITS, False)
    for size in range(len(data)):
        with pytest.raises(FormatError):
            decode(data[:size], coding.tables)
    with pytest.raises(FormatError, match="trailing bytes"):
        decode(data + bytes(8), coding.tables)


@pytest.mark.parametrize("coded", [False, True])
def test_changed_tiles_with_right_crcs_are_refused_or_decoded(coded: bool) -> None:
    data, config, coding = small(Transform.BITS4, coded)
    draw = random.Random(2)
    outcomes = set()
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(draw.randint(1, 4)):
            changed[draw.randrange(config.head_bytes, len(data))] ^= 1 << draw.randrange(8)
        try:
            outcomes.add(decode(sealed(bytes(changed), config.head_bytes), coding.tables).shape)
        except FormatError:
            outcomes.add(None)
    assert outcomes == {None, (3, 5, 6)}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("step", 0, "components must be"),
        ("step", 25, "components must be"),
        ("step", 3, "payload_bursts is"),
        ("payload_bursts", 7, "payload_bursts is"),
        ("tile_rows", 2, "tile_rows must be 5"),
        ("options", 1, "no zero bitmap"),
        ("keep", 1, "keep must be"),
        ("transform", 2, "head: "),
        ("coder", 3, "step must be"),
    ],
)
def test_heads_that_are_none_are_refused(name: str, value: int, message: str) -> None:
    data, config, coding = small(Transform.BITS, False)
    with pytest.raises(FormatError, match=message):
        decode(sealed(put(data, name, value), config.head_bytes), coding.tables)


def test_a_head_that_claims_more_than_its_tiles_hold_takes_no_memory() -> None:
    data, config, coding = small(Transform.BITS, False)
    for name in ("height", "width", "tile_rows", "tile_cols"):
        data = put(data, name, 60000)
    data = put(data, "payload_bursts", -(-60000 * 60000 * 11 // 64))
    tracemalloc.start()
    with pytest.raises(FormatError, match="truncated"):
        decode(sealed(data, config.head_bytes), coding.tables)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_tables_of_another_frame_are_refused() -> None:
    data, config, _coding = small(Transform.BITS, False)
    other = small(Transform.BITS4, False)[2]
    with pytest.raises(ValueError, match="have the id"):
        decode(data, other.tables)
    with pytest.raises(ValueError, match="needs the binary layers"):
        decode(data)
    with pytest.raises(ValueError, match="needs binary layers"):
        encode(np.zeros((3, 5, 6), np.int8), config)
