"""Escapes and the slots that they belong to."""

import random

import pytest
from tests.rans_bench import parted
from tests.stream_bench import PATTERNS, SHY, simulate, transfer

from fmzip_hw.ransescape import EscapeMerger

Tile = tuple[list[list[int]], bool, list[int]]  # slots of symbols or tokens, raw, escapes


def random_tile(rng: random.Random, slots: int, rate: float) -> Tile:
    raw = rng.random() < 0.3
    tokens, escapes = [], []
    for _ in range(slots):
        tokens.append([rng.randrange(256) if raw else rng.randrange(31) for _ in range(8)])
        for lane in range(0 if raw else 8):
            if rng.random() < rate:
                tokens[-1][lane] = 31
                escapes.append(rng.randrange(256))
    return tokens, raw, escapes


def payloads(slots: list[list[int]], raw: bool) -> list[int]:
    return [
        int.from_bytes(bytes(slot), "little") | (n == len(slots) - 1) << 64 | raw << 65
        for n, slot in enumerate(slots)
    ]


def section(escapes: list[int], count: int | None = None, lanes: int = 8) -> list[int]:
    """Words of the escape section."""
    data = (len(escapes) if count is None else count).to_bytes(2, "little") + bytes(escapes)
    return [int.from_bytes(data[k : k + lanes], "little") for k in range(0, len(data), lanes)]


def merged(tile: Tile) -> list[list[int]]:
    """Slots with as many escapes as there are."""
    slots, raw, escapes = tile
    source = iter(escapes)
    return [slot if raw else [next(source, 31) if z == 31 else z for z in slot] for slot in slots]


@pytest.mark.parametrize(
    ("drain", "lanes"), [*((drain, 8) for drain in (*PATTERNS, SHY)), ("random", 4), (SHY, 2)]
)
def test_escapes_come_back_slot_by_slot_lane_by_lane(drain: str, lanes: int) -> None:
    rng = random.Random(drain)
    tiles = [random_tile(rng, rng.randrange(1, 12), rng.choice([0, 0.1, 1])) for _ in range(25)]
    sections = [section(e, lanes=lanes) for _, raw, e in tiles if not raw]
    taken, wrong, _ = merge(tiles, sections, drain, lanes)
    assert taken == parted([p for t in tiles for p in payloads(merged(t), t[1])], lanes)
    assert not wrong


@pytest.mark.parametrize("surplus", [-3, -1, 1, 20])
def test_a_wrong_number_of_escapes_is_noticed_and_stops_nothing(surplus: int) -> None:
    rng = random.Random(surplus)
    while True:
        damaged = random_tile(rng, 6, 0.5)
        if not damaged[1]:
            break
    slots, raw, escapes = damaged
    escapes = escapes[:surplus] if surplus < 0 else escapes + [7] * surplus
    after = random_tile(rng, 6, 0.5)
    tiles = [(slots, raw, escapes), after]
    taken, wrong, _ = merge(tiles, [section(e) for _, raw, e in tiles if not raw], "never")
    assert taken == [p for tile in tiles for p in payloads(merged(tile), tile[1])]
    assert wrong


def test_a_count_beyond_what_a_tile_may_have_is_noticed() -> None:
    tile = ([[0] * 8], False, [])
    _, wrong, _ = merge([tile], [section([], 0x1000)], "never")
    assert wrong


@pytest.mark.parametrize("count", [0, 1, 2, 8])
def test_further_escapes_of_a_slot_and_words_of_escapes_take_a_cycle(count: int) -> None:
    slots = [[31] * count + [5] * (8 - count) for _ in range(60)]
    escapes = [40 + n % 200 for n in range(60 * count)]
    tile = (slots, False, escapes)
    taken, wrong, at = merge([tile], [section(escapes)], "never")
    assert taken == payloads(merged(tile), False)
    assert not wrong
    cycles = 59 * max(1, count)
    assert cycles <= at[-1] - at[0] <= cycles + len(section(escapes))


def merge(
    tiles: list[Tile], sections: list[list[int]], drain: str, lanes: int = 8
) -> tuple[list[int], bool, list[int]]:
    """Payloads that come out, whether ``wrong`` rose, and the cycles in which they came."""
    dut = EscapeMerger(lanes)
    inputs = parted([p for slots, raw, _ in tiles for p in payloads(slots, raw)], lanes)
    taken: list[int] = []
    taken_at: list[int] = []
    wrong = False

    async def feed(ctx):
        for word in (w for words in sections for w in words):
            ctx.set(dut.words.payload, word)
            ctx.set(dut.words.valid, 1)
            await ctx.tick().until(dut.words.ready)
        ctx.set(dut.words.valid, 0)

    async def watch(ctx):
        nonlocal wrong
        async for _, _, now in ctx.tick().sample(dut.wrong):
            wrong = wrong or bool(now)

    async def bench(ctx):
        await ctx.tick().repeat(8)  # words come well before the slots
        seen = await transfer(ctx, dut, inputs, len(inputs), drain=drain, quiet=30)
        taken.extend(seen.taken)
        taken_at.extend(seen.taken_at)

    simulate(dut, bench, feed, watch)
    return taken, wrong, taken_at
