"""What a tile costs, whether it is stored raw, and its escapes in order."""

import random
from itertools import pairwise
from typing import Any

import pytest
from tests.stream_bench import PATTERNS, join, run, simulate

from fmzip.format import ESCAPES_MAX, ceil_div, price
from fmzip_hw.ransjudge import EscapeSerial, Judge, escaped_layout


async def judge(
    ctx: Any, dut: Judge, slots: list[dict[str, Any]], sets: int
) -> tuple[bool, int, list[tuple[int, int]]]:
    """Mode and escapes of a tile, and the flags and symbols that went on."""
    put = []
    ctx.set(dut.sets, sets)
    for slot in [*slots, *[None] * dut.latency]:
        ctx.set(dut.valid, slot is not None)
        if slot:
            ctx.set(dut.slot, slot)
        _, _, valid, escaped = await ctx.tick().sample(dut.put, dut.payload)
        if valid:
            put.append((escaped.flags, list(escaped.symbols)))
    assert ctx.get(dut.tile.valid)
    tile = ctx.get(dut.tile.payload)
    ctx.set(dut.tile.ready, 1)
    await ctx.tick()
    ctx.set(dut.tile.ready, 0)
    assert not ctx.get(dut.tile.valid)
    return bool(tile.raw), tile.escapes, put


def random_slot(choice: random.Random, escapes: float, last: bool) -> dict[str, Any]:
    flags = [choice.random() < escapes for _ in range(8)]
    return {
        "statistics": [choice.randrange(32) for _ in range(8)],
        "tokens": [31 if escape else choice.randrange(31) for escape in flags],
        "escaped": {"symbols": list(choice.randbytes(8)), "flags": join(flags, 1)},
        "last": last, "upper": choice.randrange(2), "absent": choice.randrange(2),
    }  # fmt: skip


def test_a_tile_is_raw_where_that_is_no_longer_than_its_price() -> None:
    dut = Judge()

    async def bench(ctx):
        choice = random.Random(1)
        ctx.set(dut.head.channels, 13)
        frequencies = [choice.choice([1, 50, 100, 255, 255]) for _ in range(1024)]
        for address, frequency in enumerate(frequencies):
            ctx.set(dut.entry, {"en": 1, "address": address, "data": {"price": price(frequency)}})
            await ctx.tick()
        ctx.set(dut.entry.en, 0)
        await ctx.tick()
        seen = set()
        for n in [1, 2, 3, 10, 11, *[60] * 30]:
            slots = [random_slot(choice, choice.random() / 8, k == n - 1) for k in range(n)]
            tokens = [
                s << 5 | t
                for slot in slots
                for s, t in zip(slot["statistics"], slot["tokens"], strict=True)
            ]
            count = sum(slot["escaped"]["flags"].bit_count() for slot in slots)
            cost = sum(price(frequencies[token]) for token in tokens) + 128 * count
            size = ceil_div(cost, 128) + 16 * min(n, 10) + 8
            # As many values as the tile's size, or about as many.
            raw, wanted = 0, size + choice.choice([-1, 0, 1, 20])
            for slot in slots:
                partial = (wanted - raw) % 8 != 0
                slot["absent"], take = partial, 5 if partial else 8
                slot["upper"] = raw + take > wanted
                raw += 0 if slot["upper"] else take
            is_raw, escapes, put = await judge(ctx, dut, slots, min(n, 10))
            assert is_raw == (size >= raw)
            assert escapes == count
            assert put == [(s["escaped"]["flags"], s["escaped"]["symbols"]) for s in slots]
            seen.add(size - raw)
        assert {0, -1} <= seen, "the edge was not met"

    simulate(dut, bench)


@pytest.mark.parametrize("spare", [0, 1])
def test_a_tile_with_more_than_4095_escapes_is_raw_and_they_end(spare: int) -> None:
    dut = Judge()

    async def bench(ctx):
        ctx.set(dut.head.channels, 8)
        full = random_slot(random.Random(1), 1, False) | {"upper": 0, "absent": 0}
        symbols = full["escaped"]["symbols"]
        first = full | {"escaped": {"symbols": symbols, "flags": 0xFF >> spare}}
        none = full | {"escaped": {"symbols": symbols, "flags": 0}}
        slots = [first, *[full] * (ESCAPES_MAX // 8), *[none] * 60, full if not spare else none]
        slots[-1] = slots[-1] | {"last": 1}
        is_raw, escapes, put = await judge(ctx, dut, slots, 10)
        # The slot behind too many of them has some, too.
        assert escapes == (ESCAPES_MAX if spare else ESCAPES_MAX + 1)
        assert sum(flags.bit_count() for flags, _ in put) == escapes
        assert is_raw == (not spare)

    simulate(dut, bench)


@pytest.mark.parametrize("drain", PATTERNS)
def test_escapes_come_slot_by_slot_and_lane_by_lane(drain: str) -> None:
    choice = random.Random(drain)
    inputs, outputs = [], []
    for _ in range(60):
        symbols = choice.randbytes(8)
        flags = choice.choice([0, 0, 255, 1 << choice.randrange(8), choice.getrandbits(8)])
        slot = escaped_layout(8).const({"symbols": list(symbols), "flags": flags})
        inputs.append(slot.as_bits())
        outputs += [symbol for lane, symbol in enumerate(symbols) if flags >> lane & 1]
    feed = choice.choice([*PATTERNS])
    assert run(EscapeSerial(), inputs, len(outputs), feed=feed, drain=drain).taken == outputs


def test_a_slot_takes_a_cycle_or_one_for_each_escape() -> None:
    flags = [0, 1, 0x81, 0xFF, 0, 0x80]
    inputs = [escaped_layout(8).const({"symbols": [0] * 8, "flags": f}).as_bits() for f in flags]
    seen = run(EscapeSerial(), inputs, 12)
    assert [b - a for a, b in pairwise(seen.fed_at)] == [1, 1, 2, 8, 1]
