"""The memory port's switch, and the host's own way to the memory."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from tests.bus_bench import read, write
from tests.memory_bench import Memory, simulate_with

from fmzip_hw.bus import HostMemory
from fmzip_hw.memport import ROW_WORDS, PortSwitch

STALLS = ["never", "random", "rare"]


async def _ask(ctx: Any, port: Any, writing: bool, address: int, words: int) -> None:
    ctx.set(port.request.payload.write, writing)
    ctx.set(port.request.payload.address, address)
    ctx.set(port.request.payload.words, words)
    ctx.set(port.request.valid, 1)
    await ctx.tick().until(port.request.ready)
    ctx.set(port.request.valid, 0)


async def _put(ctx: Any, port: Any, data: list[int]) -> None:
    for word in data:
        ctx.set(port.w.payload, word)
        ctx.set(port.w.valid, 1)
        await ctx.tick().until(port.w.ready)
    ctx.set(port.w.valid, 0)


async def _get(ctx: Any, port: Any, count: int) -> list[int]:
    got = []
    ctx.set(port.r.ready, 1)
    for _ in range(count):
        (word,) = await ctx.tick().sample(port.r.payload).until(port.r.valid)
        got.append(word)
    ctx.set(port.r.ready, 0)
    return got


@pytest.mark.parametrize("stalls", STALLS)
def test_users_at_once_each_get_their_own_words(stalls: str) -> None:
    dut = PortSwitch(3)
    memory = Memory(dut.port, stalls=stalls)
    done = [False] * 3

    def user(k: int):
        async def bench(ctx):
            generator, port = random.Random(k), dut.users[k]
            for turn in range(6):
                words = generator.choice([1, 2, 7, 40])
                row = ROW_WORDS * (100 * k + turn)
                address = row + generator.randrange(ROW_WORDS - words + 1)
                data = [generator.getrandbits(64) for _ in range(words)]
                await _ask(ctx, port, True, address, words)
                await _put(ctx, port, data)
                await ctx.tick().repeat(generator.randrange(1, 30))
                await _ask(ctx, port, False, address, words)
                assert await _get(ctx, port, words) == data
                await ctx.tick().repeat(generator.randrange(1, 30))
            done[k] = True

        return bench

    async def watch(ctx):
        while not all(done):
            await ctx.tick()
            # One owner at a time: nobody else sees the memory's handshakes.
            ready = [ctx.get(u.w.ready) + ctx.get(u.r.valid) > 0 for u in dut.users]
            assert sum(ready) <= 1
        await ctx.tick().repeat(4)
        assert ctx.get(dut.idle)

    simulate_with(dut, watch, memory.serve, *map(user, range(3)))
    assert len(memory.requests) == 36


def _cases() -> Iterator[tuple[bool, int, int]]:
    for writing in (True, False):
        for moved in (0, 1, 5):
            yield writing, moved, 1
        yield writing, 3, 3


@pytest.mark.parametrize("stalls", STALLS)
@pytest.mark.parametrize(("writing", "moved", "asked"), [*_cases()])
def test_an_abort_settles_what_was_asked_for_and_then_all_users_work(
    writing: bool, moved: int, asked: int, stalls: str
) -> None:
    dut = PortSwitch(2)
    memory = Memory(dut.port, stalls=stalls)
    words = 20

    async def bench(ctx):
        memory.load(0, bytes(range(160)))
        port = dut.users[0]
        for k in range(asked):
            await _ask(ctx, port, writing, ROW_WORDS * k, words)
        if writing:
            await _put(ctx, port, list(range(moved)))
        else:
            await _get(ctx, port, moved)
        ctx.set(dut.abort, 1)
        await ctx.tick()
        ctx.set(dut.abort, 0)
        assert not ctx.get(dut.idle)
        # A user that asks while that goes on has to wait, and then gets its own words.
        other = dut.users[1]
        await _ask(ctx, other, True, 5000, 3)
        await _put(ctx, other, [7, 8, 9])
        await _ask(ctx, port, False, 5000, 3)
        assert await _get(ctx, port, 3) == [7, 8, 9]
        await ctx.tick().repeat(3)
        assert ctx.get(dut.idle)

    simulate_with(dut, bench, memory.serve)
    assert len(memory.requests) == asked + 2


def test_an_abort_without_work_is_over_at_once() -> None:
    dut = PortSwitch(2)
    memory = Memory(dut.port)

    async def bench(ctx):
        for _ in range(3):
            ctx.set(dut.abort, 1)
            await ctx.tick()
            ctx.set(dut.abort, 0)
            await ctx.tick().repeat(2)
            assert ctx.get(dut.idle)
        await _ask(ctx, dut.users[1], True, 64, 1)
        await _put(ctx, dut.users[1], [5])
        await ctx.tick().repeat(3)
        assert memory.words == {64: 5}

    simulate_with(dut, bench, memory.serve)


@pytest.mark.parametrize("writing", [False, True])
def test_an_abort_makes_up_no_word_that_is_not_owed(writing: bool) -> None:
    # A memory that takes words ahead of their request, as the SDRAM controller does.
    dut = PortSwitch(2)

    async def bench(ctx):
        ctx.set(dut.port.w.ready, 1)
        ctx.set(dut.port.request.ready, 1)
        port = dut.users[0]
        for asked in (0, 3):
            if asked:
                await _ask(ctx, port, writing, 64, asked)
            ctx.set(dut.abort, 1)
            made_up = 0
            for _ in range(10):
                _, _, valid = await ctx.tick().sample(dut.port.w.valid)
                ctx.set(dut.abort, 0)
                made_up += valid
            assert made_up == (asked if writing else 0)
            assert ctx.get(dut.idle) == (writing or not asked)

    simulate_with(dut, bench)


@pytest.mark.parametrize("stalls", STALLS)
def test_the_host_reads_and_writes_pairs_of_words(stalls: str) -> None:
    dut = HostMemory()
    memory = Memory(dut.port, stalls=stalls)
    generator = random.Random(1)

    async def bench(ctx):
        data = {8 * generator.randrange(1 << 20): generator.getrandbits(64) for _ in range(12)}
        for address, word in data.items():
            await write(ctx, dut.bus, address, word & 0xFFFF_FFFF)
            await write(ctx, dut.bus, address + 4, word >> 32)
        await ctx.tick()  # the memory notes a word behind the cycle that moves it
        assert memory.words == {address // 8: word for address, word in data.items()}
        for address, word in data.items():
            assert await read(ctx, dut.bus, address) == word & 0xFFFF_FFFF
            assert await read(ctx, dut.bus, address + 4) == word >> 32
        assert all(words == 1 for _, _, words in memory.requests)
        assert len(memory.requests) == 2 * len(data)

    simulate_with(dut, bench, memory.serve)
