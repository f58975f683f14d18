"""Loading tables: every write against the tables themselves."""

import random

import pytest
from tests.rans_bench import load_tables, random_tables, rans_config
from tests.stream_bench import simulate

from fmzip.format import TOKENS, Transform, price
from fmzip.reference.rans import model_of
from fmzip_hw.tables import TableLoader

PORTS = ("context", "token", "entry", "limit")


@pytest.mark.parametrize(
    ("transform", "statistics"),
    [(Transform.BYPASS, 32), (Transform.NIBBLES, 1), (Transform.WHT4, 7)],
)
def test_memories_hold_the_tables(transform: Transform, statistics: int) -> None:
    dut = TableLoader()
    config = rans_config(transform, 8, 1, 1)
    memories: dict[str, dict[int, object]] = {name: {} for name in PORTS}

    async def watch(ctx):
        async for _, _, *writes in ctx.tick().sample(*(getattr(dut, name) for name in PORTS)):
            for name, write in zip(PORTS, writes, strict=True):
                if write.en:
                    memories[name][write.address] = write.data

    async def bench(ctx):
        for seed in range(2):  # the second one over the first one
            tables = random_tables(transform, random.Random(f"{transform} {seed}"), statistics)
            model = model_of(tables)
            for memory in memories.values():
                memory.clear()
            await load_tables(ctx, dut, tables, config)
            assert memories["context"] == dict(enumerate(tables.contexts))
            assert memories["token"] == dict(enumerate(model.tokens.reshape(-1)))
            assert memories["limit"] == dict(enumerate(model.limits))
            assert sorted(memories["entry"]) == list(range(TOKENS * statistics))
            for address, entry in memories["entry"].items():
                row = divmod(address, TOKENS)
                assert entry.frequency == model.frequencies[row]
                if entry.frequency:
                    assert entry.start == model.cumulated[row]
                    assert entry.price == price(entry.frequency)

    simulate(dut, bench, watch)
