"""Contexts of the coder ``rans`` against the reference."""

import random

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, Module, Value
from tests.codec_bench import begin
from tests.rans_bench import CONFIGS, coded, positions_of, random_symbols, random_tables
from tests.stream_bench import join, simulate, split

from fmzip_hw.contexts import ContextFormer
from fmzip_hw.slots import SlotSequencer


class Walk(Elaboratable):
    """Sequencer and former, with what the bench needs to set tokens in time."""

    def __init__(self, feedback: int, lanes: int):
        self.former = ContextFormer(feedback, lanes)
        self.sequencer = SlotSequencer(self.former.loop, lanes=lanes)

    def elaborate(self, platform):
        m = Module()
        m.submodules.former = former = self.former
        m.submodules.sequencer = sequencer = self.sequencer
        m.d.comb += [
            former.head.eq(sequencer.head),
            former.i_valid.eq(sequencer.step),
            former.slot.eq(sequencer.slot),
        ]
        return m


@pytest.mark.parametrize(("feedback", "lanes"), [(5, 8), (7, 4), (10, 8), (7, 2)])
def test_statistics_are_those_of_the_contexts_under_any_stalls(feedback: int, lanes: int) -> None:
    dut = Walk(feedback, lanes)
    former, sequencer = dut.former, dut.sequencer

    async def bench(ctx):
        tables = None
        for config in CONFIGS:
            rng = random.Random(f"{config} {feedback}")
            if tables is None or tables.planes != config.planes:
                tables = random_tables(config.transform, rng)
                for context, statistic in enumerate(tables.contexts):
                    ctx.set(former.write, {"en": 1, "address": context, "data": statistic})
                    await ctx.tick()
                ctx.set(former.write.en, 0)
            pace = rng.choice([1, 1, 0.7, 0.2])
            generator = np.random.default_rng(rng.getrandbits(32))
            statistics, tokens = [], []
            for rows, cols in positions_of(config):
                symbols = random_symbols(config, rows, cols, generator)
                found = coded(config, tables, cols, symbols)
                statistics += found.statistics.reshape(-1, lanes).tolist()
                tokens += found.tokens.reshape(-1, lanes).tolist()
            await begin(ctx, sequencer, config)
            begun: list[int] = []  # cycle of each slot
            now = asked = told = 0
            while told < len(tokens):
                if ctx.get(sequencer.valid) and rng.random() < pace:
                    ctx.set(sequencer.step, 1)
                    begun.append(now)
                else:
                    ctx.set(sequencer.step, 0)
                if asked < len(begun) and begun[asked] + former.latency == now:
                    got = split(ctx.get(Value.cast(former.o)), 5, lanes, signed=False)
                    assert got == statistics[asked], f"{config}: slot {asked}"
                    asked += 1
                if told < len(begun) and begun[told] + feedback == now:
                    ctx.set(Value.cast(former.tokens), join(tokens[told], 5))
                    told += 1
                else:
                    ctx.set(Value.cast(former.tokens), rng.getrandbits(40))
                await ctx.tick()
                now += 1
            assert asked == told

    simulate(dut, bench)
