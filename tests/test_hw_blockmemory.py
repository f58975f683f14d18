"""Block RAM behind the memory port: what was written is read, whoever stalls."""

import gc
import random
from itertools import product
from typing import Any

import pytest
from tests.memory_bench import simulate_with
from tests.stream_bench import PATTERNS, simulate

from fmzip_hw.blockmemory import BlockMemory
from fmzip_hw.memport import ROW_WORDS

SIZE_LOG2 = 14
STALLS = ("never", "random", "bursts")
DEPTH = (1 << SIZE_LOG2) // 8


def _plan(generator: random.Random) -> list[tuple[int, int, list[int]]]:
    """Requests: address, words, and the words if it writes; each word is written, then read."""
    asked: list[tuple[int, int, list[int]]] = []
    for _ in range(12):
        words = generator.choice([1, 1, 2, 3, 17, 40])
        address = ROW_WORDS * generator.randrange(DEPTH // ROW_WORDS)
        address += generator.randrange(ROW_WORDS - words + 1)
        data = [generator.getrandbits(64) for _ in range(words)]
        asked += [(address, words, data), (address, words, [])]
    return asked


@pytest.mark.parametrize(("w_stalls", "r_stalls"), [*product(STALLS, STALLS)])
def test_words_are_read_as_they_were_written(w_stalls: str, r_stalls: str) -> None:
    dut = BlockMemory(SIZE_LOG2)
    plan = _plan(random.Random(f"{w_stalls} {r_stalls}"))
    expected = [word for address, words, data in plan[::2] for word in data]
    got: list[int] = []

    async def ask(ctx: Any) -> None:
        payload = dut.port.request.payload
        for address, words, data in plan:
            ctx.set(payload, {"write": bool(data), "address": address, "words": words})
            ctx.set(dut.port.request.valid, 1)
            await ctx.tick().until(dut.port.request.ready)
            ctx.set(dut.port.request.valid, 0)

    async def put(ctx: Any) -> None:
        pattern = PATTERNS[w_stalls]()
        for word in expected:
            while not next(pattern):
                await ctx.tick()
            ctx.set(dut.port.w.payload, word)
            ctx.set(dut.port.w.valid, 1)
            await ctx.tick().until(dut.port.w.ready)
            ctx.set(dut.port.w.valid, 0)

    async def get(ctx: Any) -> None:
        pattern, offered = PATTERNS[r_stalls](), None
        while len(got) < len(expected):
            willing = next(pattern)
            ctx.set(dut.port.r.ready, willing)
            _, _, valid, word = await ctx.tick().sample(dut.port.r.valid, dut.port.r.payload)
            assert offered is None or (valid, word) == (1, offered), "an offered word is held"
            offered = word if valid and not willing else None
            if valid and willing:
                got.append(word)

    simulate_with(dut, get, ask, put)
    assert got == expected


@pytest.mark.parametrize("write", [False, True])
def test_a_request_takes_a_cycle_per_word_and_one_more(write: bool) -> None:
    dut = BlockMemory(SIZE_LOG2)
    seen: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.port.request.payload, {"write": write, "address": 0, "words": ROW_WORDS})
        ctx.set(dut.port.request.valid, 1)
        ctx.set(dut.port.w.valid, 1)
        ctx.set(dut.port.r.ready, 1)
        for cycle in range(4 * (ROW_WORDS + 1) + dut.latency):
            moves = dut.port.w.ready if write else dut.port.r.valid
            _, _, moved = await ctx.tick().sample(moves)
            if moved:
                seen.append(cycle)

    simulate(dut, bench)
    assert seen[0] == (1 if write else dut.latency)
    assert seen[: 4 * ROW_WORDS] == [
        seen[0] + turn * (ROW_WORDS + 1) + k for turn in range(4) for k in range(ROW_WORDS)
    ]


# Amaranth warns of components that nobody uses, here of the one that was not finished.
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_a_memory_of_less_than_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="size_log2 must be at least 10, not 9"):
        BlockMemory(9)
    gc.collect()
