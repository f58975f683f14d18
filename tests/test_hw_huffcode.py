"""The Huffman coder against the reference's codes, for all numbers of lanes."""

from typing import Any

import numpy as np
import pytest
from tests.projection_cases import random_coding
from tests.stream_bench import simulate
from tests.test_hw_project import put

from fmzip import projload
from fmzip.format import Transform
from fmzip.projection import Projection
from fmzip.reference import huffman
from fmzip.regs import ProjectionKind
from fmzip_hw.huffcode import HuffmanCoder


def projection_of(rng: np.random.Generator) -> Projection:
    projection = random_coding(rng, 64, Transform.PROJECTION, 1, 5).tables
    return Projection(projection.inverse, projection.lengths, projection.books)


def symbols_of(rng: np.random.Generator, positions: int, components: int) -> np.ndarray:
    """Of all sizes."""
    wide = np.exp(rng.uniform(0, 7, (positions, components))) - 1
    return np.clip(wide * rng.choice([-1, 1], wide.shape), -1023, 1023).astype(np.int16)


async def pack(
    ctx: Any, dut: Any, numbers: list[tuple[int, int]], raw: bool, gaps: np.random.Generator
) -> bytes:
    """The words of a section, as bytes."""
    words: list[int] = []

    async def step() -> None:
        _, _, valid, bits = await ctx.tick().sample(dut.o_valid, dut.o_bits)
        if valid:
            words.append(bits)

    ctx.set(dut.raw, raw)
    for k in range(0, len(numbers), dut.lanes):
        while gaps.random() < 0.2:
            ctx.set(dut.i_valid, 0)
            await step()
        part = numbers[k : k + dut.lanes]
        for lane, (u, book) in enumerate(part):
            ctx.set(dut.i[lane], {"u": u, "book": book})
        ctx.set(dut.i_count, len(part))
        ctx.set(dut.i_valid, 1)
        ctx.set(dut.i_last, k + dut.lanes >= len(numbers))
        await step()
    ctx.set(dut.i_valid, 0)
    for _ in range(dut.latency + 3):
        await step()
    return b"".join(word.to_bytes(dut.word_bits // 8, "little") for word in words)


@pytest.mark.parametrize("lanes", [1, 2, 8])
def test_sections_are_the_references(lanes: int) -> None:
    dut = HuffmanCoder(lanes)
    rng = np.random.default_rng(lanes)
    projections = [projection_of(rng) for _ in range(2)]

    async def bench(ctx):
        for page, projection in enumerate(projections):
            words = projload.codes(projection)
            await put(ctx, dut.write, ProjectionKind.CODES, page << 10, words)
        for n in range(6):
            page, projection = n % 2, projections[n % 2]
            ctx.set(dut.page, page)
            count = projection.components
            symbols = symbols_of(rng, int(rng.integers(1, 4)), count)
            books = np.tile(projection.books, len(symbols)).tolist()
            numbers = list(zip(huffman.numbers_of(symbols).ravel().tolist(), books, strict=True))
            codes = huffman.codes_of(projection)
            for raw in (False, True):
                expected = huffman.encode_raw(symbols) if raw else huffman.encode(symbols, codes)
                got = await pack(ctx, dut, numbers, raw, rng)
                assert got[: len(expected)] == expected
                assert not any(got[len(expected) :])
                assert len(got) - len(expected) < dut.word_bits // 8

    simulate(dut, bench)


def test_eight_symbols_are_coded_in_every_cycle() -> None:
    dut = HuffmanCoder(8)
    rng = np.random.default_rng(9)
    projection = projection_of(rng)
    symbols = symbols_of(rng, 1, projection.components)
    full = np.resize(symbols, 8 * 20)
    books = np.resize(projection.books, full.size)
    numbers = list(zip(huffman.numbers_of(full).tolist(), books.tolist(), strict=True))

    async def bench(ctx):
        await put(ctx, dut.write, ProjectionKind.CODES, 0, projload.codes(projection))
        bits = 0
        ctx.set(dut.i_valid, 1)
        ctx.set(dut.i_count, 8)
        for now in range(20 + dut.latency + 2):
            for lane, (u, book) in enumerate(numbers[8 * now : 8 * now + 8]):
                ctx.set(dut.i[lane], {"u": u, "book": book})
            ctx.set(dut.i_last, now == 19)
            if now == 20:
                ctx.set(dut.i_valid, 0)
            _, _, valid = await ctx.tick().sample(dut.o_valid)
            bits += valid * dut.word_bits
        codes = huffman.codes_of(projection)
        used = int(codes.bits[books, huffman.numbers_of(full)].sum())
        assert used <= bits < used + dut.word_bits

    simulate(dut, bench)
