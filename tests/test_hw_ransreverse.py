"""Backward pass and drain of the rANS encoder: slots with statistics and modes in, tiles out."""

import random
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from tests.rans_bench import parted
from tests.stream_bench import PATTERNS, SHY, join, transfer

from fmzip.format import Transform
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.ransdrain import RansDrain
from fmzip_hw.ransreverse import BackwardPass, TileLayout, passed_layout
from fmzip_hw.tables import EntryWrite

Symbol = tuple[int, int, bool]  # z, statistic, escape


def item_layout(lanes: int) -> data.StructLayout:
    """A slot, or the end of a tile."""
    return data.StructLayout({"slot": passed_layout(lanes), "ends": 1, "tile": TileLayout})


class Passes(wiring.Component):
    """The two together, with a stream of slots; ``i.payload.ends`` closes a tile."""

    def __init__(self, depth: int, lanes: int):
        self.depth, self.lanes = depth * 8 // lanes, lanes
        super().__init__({
            "head": In(HeadLayout),
            "table": In(EntryWrite),
            "i": In(stream.Signature(item_layout(lanes))),
            "escapes": In(stream.Signature(8)),
            "o": Out(stream.Signature(word_layout(lanes))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.passes = passes = BackwardPass(self.depth, self.lanes)
        m.submodules.drain = drain = RansDrain(2 * self.depth, passes.in_flight, self.lanes)
        wiring.connect(m, wiring.flipped(self.escapes), drain.escapes)
        wiring.connect(m, drain.o, wiring.flipped(self.o))
        ends = self.i.payload.ends
        m.d.comb += [
            passes.head.eq(self.head),
            drain.head.eq(self.head),
            passes.entry.eq(self.table),
            passes.slot.eq(self.i.payload.slot),
            passes.write.eq(self.i.valid & self.i.ready & ~ends),
            passes.enter.eq(passes.write),
            passes.tile.valid.eq(self.i.valid & ends & ~drain.full),
            passes.tile.payload.eq(self.i.payload.tile),
            self.i.ready.eq(ends & ~drain.full & passes.tile.ready | ~ends & passes.room),
            drain.taken.eq(passes.tile.valid & passes.tile.ready),
            passes.hold.eq(drain.hold),
            drain.write.eq(passes.o_write),
            drain.bits.eq(passes.o_bits),
            drain.done.eq(passes.o_done),
            drain.offset.eq(passes.o_offset),
            drain.tile.eq(passes.ended),
        ]
        return m


@dataclass
class Tile:
    """Slots of 8 symbols; ``upper`` tells which have the upper nibbles."""

    slots: list[list[Symbol]]
    upper: list[bool]
    raw: bool


def tables(choice: random.Random) -> list[list[tuple[int, int]]]:
    """Frequency and cumulative frequency of each token, for each of 32 statistics."""
    result = []
    for statistic in range(32):
        cuts = sorted([0, 256, *choice.sample(range(1, 256), 31)])
        if statistic == 0:  # as uneven as may be
            cuts = [0, *range(225, 257)]
        result.append([(b - a, a) for a, b in pairwise(cuts)])
    return result


def tile_bytes(tile: Tile, frequencies: Any, channels: int, nibbles: bool, burst: int) -> bytes:
    """A tile as section 10.7 and 10.8 of the format say."""
    count = channels % 8 or 8  # of the last group; there is one group
    if tile.raw:
        text = bytes(
            z
            for slot, upper in zip(tile.slots, tile.upper, strict=True)
            for z, _, _ in slot[:count]
            if not (nibbles and upper)
        )
    else:
        tail, states = b"", [[256] * 8 for _ in range(10)]
        escapes = [z for slot in tile.slots for z, _, escape in slot if escape]
        for number, (slot, upper) in reversed(
            [*enumerate(zip(tile.slots, tile.upper, strict=True))]
        ):
            for lane in reversed(range(8)):
                z, statistic, escape = slot[lane]
                symbol = (z >> 4 if upper else z & 15) if nibbles else z
                f, cumulative = frequencies[statistic][31 if escape else symbol]
                x = states[number % 10][lane]
                if x >= 256 * f:
                    tail, x = bytes([x & 255]) + tail, x >> 8
                states[number % 10][lane] = 256 * (x // f) + x % f + cumulative
        text = len(escapes).to_bytes(2, "little") + bytes(escapes)
        text += bytes(-len(text) % 8)
        for states_of_set in states[: len(tile.slots)]:
            text += b"".join(x.to_bytes(2, "little") for x in states_of_set)
        text += tail
    return text + bytes(-len(text) % burst)


def random_tile(choice: random.Random, nibbles: bool, slots: int) -> Tile:
    frequent = choice.random()
    escapes = choice.choice([0, 0, 0.01, 0.3])

    def symbol() -> Symbol:
        statistic = choice.choice([0, choice.randrange(32)])
        escape = choice.random() < escapes
        small = 30 if choice.random() < frequent else choice.randrange(31)
        return choice.randrange(256) if escape or nibbles else small, statistic, escape

    upper = [*(bool(choice.randrange(2)) for _ in range(slots - 1)), False]
    return Tile([[symbol() for _ in range(8)] for _ in upper], upper, choice.random() < 0.25)


async def feed_tables(ctx: Any, dut: Any, frequencies: list[list[tuple[int, int]]]) -> None:
    for statistic, tokens in enumerate(frequencies):
        for token, (frequency, cumulative) in enumerate(tokens):
            ctx.set(dut.table, {
                "en": 1, "address": statistic << 5 | token,
                "data": {"frequency": frequency, "start": cumulative},
            })  # fmt: skip
            await ctx.tick()
    ctx.set(dut.table.en, 0)
    await ctx.tick().repeat(4)


def items(tile: Tile, escapes: int, channels: int, lanes: int) -> list[int]:
    """The tile as payloads of the input."""
    result, item = [], item_layout(lanes)
    for whole, upper in zip(tile.slots, tile.upper, strict=True):
        for first in range(0, 8, lanes):
            part = whole[first : first + lanes]
            absent = (first + lanes > channels) | (first >= channels) << 1
            passed = passed_layout(lanes).const({
                "z": [z for z, _, _ in part], "statistic": [s for _, s, _ in part],
                "escape": join([e for _, _, e in part], 1), "upper": upper, "absent": absent,
            })  # fmt: skip
            result.append(item.const({"slot": passed, "ends": 0}).as_bits())
    end = {"ends": 1, "tile": {"raw": tile.raw, "escapes": escapes}}
    return [*result, item.const(end).as_bits()]


@pytest.mark.parametrize(
    ("nibbles", "drain", "lanes"),
    [
        (False, "never", 8), (True, "random", 8), (False, "late", 8), (True, SHY, 8),
        (True, "never", 4), (False, "late", 4), (False, "never", 2), (True, SHY, 2),
    ],
)  # fmt: skip
def test_tiles_equal_the_format_under_any_stalls(nibbles: bool, drain: str, lanes: int) -> None:
    choice = random.Random(f"{nibbles} {drain}")
    dut = Passes(64, lanes)
    frequencies = tables(choice)
    sizes = [1, 2, 9, 10, 11, 60, 5, 20, 21, 64, 33, 1, 40, 64, 64, 12]
    sizes = sizes if lanes == 8 else [1, 2, 11, 9, 64, 10, 33]
    tiles = [random_tile(choice, nibbles, size) for size in sizes]

    async def bench(ctx):
        await feed_tables(ctx, dut, frequencies)
        for feed in ("never", choice.choice([*PATTERNS]))[: 2 if lanes == 8 else 1]:
            burst_log2, channels = choice.randint(3, 6), choice.randint(1, 8)
            transform = Transform.NIBBLES if nibbles else Transform.BYPASS
            ctx.set(
                dut.head, {"channels": channels, "burst_log2": burst_log2, "transform": transform}
            )
            inputs, words, escaped = [], [], []
            for tile in tiles:
                escapes = [z for slot in tile.slots for z, _, escape in slot if escape]
                inputs += items(tile, len(escapes), channels, lanes)
                escaped += escapes
                text = tile_bytes(tile, frequencies, channels, nibbles, 1 << burst_log2)
                for at in range(0, len(text), 8):
                    word = int.from_bytes(text[at : at + 8], "little")
                    words.append(word | (at + 8 == len(text)) << 64 | tile.raw << 65)
            words = parted(words, lanes)
            source.append(escaped)
            seen = await transfer(
                ctx, dut, inputs, len(words), feed=feed, drain=drain, deadline=20_000
            )
            assert seen.taken == words

    source: list[list[int]] = []

    async def feed_escapes(ctx):
        while True:
            if source and source[0]:
                ctx.set(dut.escapes.valid, 1)
                ctx.set(dut.escapes.payload, source[0][0])
            else:
                ctx.set(dut.escapes.valid, 0)
                if source:
                    source.pop(0)
            _, _, taken = await ctx.tick().sample(dut.escapes.valid & dut.escapes.ready)
            if taken:
                source[0].pop(0)

    sim = Simulator(dut)
    sim.add_clock(1e-8)
    sim.add_testbench(bench)
    sim.add_testbench(feed_escapes, background=True)
    sim.run()
