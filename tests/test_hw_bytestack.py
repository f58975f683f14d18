"""Bytes stacked in front of each other, against Python's own bytes."""

import random

import pytest
from tests.stream_bench import join, pipeline

from fmzip_hw.bytestack import ByteStacker


def stacked(slots: list[dict[str, int]], lanes: int) -> list[bytes]:
    """The words that are written, as the bytes of each tile."""
    tiles, words = [], []
    dut = ByteStacker(lanes)
    names = ["write", "bits", "done", "offset"]
    for write, bits, done, offset in pipeline(dut, slots, names, dut.latency):
        if write:
            words.insert(0, bits.to_bytes(lanes, "little"))
        if done:
            tiles.append(b"".join(words)[offset:])
            words = []
    assert not words
    return tiles


@pytest.mark.parametrize("lanes", [8, 4, 2])
def test_any_lanes_in_any_order_come_out_in_front_of_those_before(lanes: int) -> None:
    choice = random.Random(1)
    slots, expected = [], []
    for _ in range(60):
        text = b""
        chance = choice.choice([0, 0.1, 0.5, 0.9, 1])
        for _ in range(choice.randrange(40)):
            put = [choice.random() < chance for _ in range(lanes)]
            values = choice.randbytes(lanes)
            slots.append({"put": join(put, 1), "bytes": join(values, 8), "end": 0})
            text = bytes(v for v, p in zip(values, put, strict=True) if p) + text
        slots.append({"put": 0, "bytes": choice.getrandbits(64), "end": 1})
        slots += [{"put": 0, "bytes": choice.getrandbits(64), "end": 0}] * choice.randrange(3)
        expected.append(text)
    assert stacked(slots, lanes) == expected


@pytest.mark.parametrize("lanes", [8, 4, 2])
def test_every_set_of_lanes_at_every_place_of_a_word(lanes: int) -> None:
    slots, expected = [], []
    values = bytes(range(1, 1 + lanes))
    for before in range(lanes):
        for flags in range(1 << lanes):
            text = b""
            for put in ((1 << before) - 1, flags, (1 << lanes) - 1):
                slots.append({"put": put, "bytes": join(values, 8), "end": 0})
                text = bytes(v for k, v in enumerate(values) if put >> k & 1) + text
            slots.append({"put": 0, "bytes": 0, "end": 1})
            expected.append(text)
    assert stacked(slots, lanes) == expected
