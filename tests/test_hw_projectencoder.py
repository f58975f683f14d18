"""The encoder of the coder HUFFMAN against the reference: whole frames."""

import random

import pytest
from tests.huffman_bench import check_encoder, load_encoder, projection_case
from tests.stream_bench import simulate

from fmzip_hw.projectencoder import ProjectionEncoder
from fmzip_hw.projectsize import ProjectionSize
from fmzip_sim.patterns import PATTERNS, SHY

STALLS = ["never", "random", "bursts", "rare"]
VALUES = 64


@pytest.mark.parametrize("lanes", [1, 8])
def test_frame_after_frame_is_the_references(lanes: int) -> None:
    dut = ProjectionEncoder(ProjectionSize(8, 16384, VALUES, 4096, lanes))

    async def bench(ctx):
        for n in range(5):
            case = projection_case(7100 + 10 * lanes + n, 500)
            page = n % 2
            await load_encoder(ctx, dut, case, page, page * 1024, 8, VALUES)
            await check_encoder(ctx, dut, case, page, feed=STALLS[n % 3], drain=STALLS[n % 4])

    simulate(dut, bench)


@pytest.mark.soak
@pytest.mark.parametrize("lanes", [1, 2, 8])
def test_many_frames_with_stalls_are_the_references(lanes: int) -> None:
    dut = ProjectionEncoder(ProjectionSize(16, 16384, VALUES, 4096, lanes))

    async def bench(ctx):
        for seed in range(9000 + lanes, 9040 + lanes):
            case, draw, page = projection_case(seed, 600), random.Random(seed), seed % 2
            await load_encoder(ctx, dut, case, page, page * 512, 16, VALUES)
            stalls = {"feed": draw.choice([*PATTERNS]), "drain": draw.choice([*PATTERNS, SHY])}
            await check_encoder(ctx, dut, case, page, **stalls)

    simulate(dut, bench)
