"""The reader of Huffman codes alone: its symbols, and the cycles that each of them takes."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Value
from tests.projection_cases import frame, random_coding
from tests.stream_bench import simulate
from tests.test_hw_huffcode import symbols_of
from tests.test_hw_project import put

from fmzip import projload
from fmzip.codebooks import FOLLOWING_BITS
from fmzip.format import BLOCK, HUFFMAN_ESCAPE, Transform, ceil_div, round_up
from fmzip.projection import ProjectionCoding
from fmzip.reference import huffman
from fmzip.regs import NODE_BITS, ProjectionKind
from fmzip_hw.huffread import HuffmanReader

VALUES, BURST = 16, 32  # of a position at most; bytes


def words_of(data: bytes, raw: bool) -> list[int]:
    """Words of a tile: data, last, raw."""
    padded = data + bytes(round_up(len(data), BURST) - len(data))
    words = [int.from_bytes(padded[k : k + BLOCK], "little") for k in range(0, len(padded), BLOCK)]
    return [w | (k == len(words) - 1) << 64 | raw << 65 for k, w in enumerate(words)]


def cycles_of(symbols: np.ndarray, coding: ProjectionCoding) -> np.ndarray:
    """Cycles that each symbol of a coded tile takes, as ``HuffmanReader`` has it."""
    lengths = coding.tables.lengths[coding.tables.books].astype(np.int64)
    tokens = huffman.tokens_of(huffman.numbers_of(symbols))
    known = np.take_along_axis(lengths, tokens.T, axis=1).T > 0
    tokens = np.where(known, tokens, HUFFMAN_ESCAPE)
    length = np.take_along_axis(lengths, tokens.T, axis=1).T
    looks = -(-length // NODE_BITS)
    return HuffmanReader.lookup_cycles * looks + (FOLLOWING_BITS[tokens] > 0)


async def read(
    ctx: Any, dut: Any, words: list[int], positions: int
) -> tuple[list[int], list[int], list[bool]]:
    """Symbols of one tile, the cycle of each, and which end a position."""
    found, at, ends = [], [], []
    source = iter(words)
    word = next(source)
    begun, now = 0, 0
    while len(ends) < positions * dut.components:
        ctx.set(dut.i.valid, word is not None)
        ctx.set(Value.cast(dut.i.payload), word or 0)
        ctx.set(dut.go, begun < positions)
        ctx.set(dut.last, begun == positions)
        _, _, ready, idle, valid, symbol, index, last = await ctx.tick().sample(
            dut.i.ready, dut.idle, dut.o_valid, dut.o, dut.o_index, dut.o_last
        )
        if word is not None and ready:
            word = next(source, None)
        # ``last`` is that of the position in work.
        begun += idle and begun < positions
        if valid:
            assert index == len(found) % dut.components
            found.append(symbol)
            at.append(now)
            ends.append(bool(last))
        now += 1
        assert now < 100_000
    for _ in range(BURST):
        await ctx.tick()
    return found, at, ends


@pytest.mark.parametrize("raw", [False, True])
def test_each_symbol_takes_the_cycles_that_are_stated(raw: bool) -> None:
    dut: Any = HuffmanReader(VALUES)
    rng = np.random.default_rng(3 + raw)

    async def bench(ctx):
        for n in range(4):
            coding = random_coding(rng, VALUES, Transform.PROJECTION, 1, 5)
            tables, page = coding.tables, n % 2
            dut.components = tables.components
            positions = int(rng.integers(2, 9))
            symbols = symbols_of(rng, positions, tables.components)
            words = projload.nodes(tables)
            first = page << projload.NODE_ADDRESS_BITS
            await put(ctx, dut.write, ProjectionKind.NODES, first, words)
            await put(ctx, dut.write, ProjectionKind.INVERSE_BOOKS, page * VALUES, tables.books)
            config = frame(coding, (VALUES, 1, positions), Transform.PROJECTION, burst_log2=5)
            ctx.set(Value.cast(dut.head), int.from_bytes(config.static_head(), "little"))
            ctx.set(dut.page, page)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            codes = huffman.codes_of(tables)
            data = huffman.encode_raw(symbols) if raw else huffman.encode(symbols, codes)
            found, at, ends = await read(ctx, dut, words_of(data, raw), positions)
            assert found == symbols.ravel().tolist()
            assert np.flatnonzero(ends).tolist() == list(
                range(tables.components - 1, len(found), tables.components)
            )
            assert not ctx.get(dut.broken)
            taken = np.diff(np.array(at).reshape(symbols.shape), axis=1)
            if raw:
                # In all, one more for each 32 bits that are loaded.
                bits = 11 * symbols.size
                inside = HuffmanReader.raw_cycles * taken.size
                assert taken.min() >= HuffmanReader.raw_cycles
                assert inside <= taken.sum() <= inside + ceil_div(bits, 32)
            else:
                assert (taken == cycles_of(symbols, coding)[:, 1:]).all()
            between = np.diff(at)[tables.components - 1 :: tables.components]
            first = HuffmanReader.raw_cycles if raw else cycles_of(symbols, coding)[1:, 0]
            assert set((between - first).tolist()) <= ({1, 2} if raw else {2, 3})

    simulate(dut, bench)
