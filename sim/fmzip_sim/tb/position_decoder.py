"""cocotb tests of the decoders that ``coders`` names: the values of ``fmzip.reference.decode``."""

from typing import Any

import cocotb

from fmzip_sim.tb.bench import BREAKS, CASES, SHORT
from fmzip_sim.tb.coders import bench_of
from fmzip_sim.tb.positionwise import DecoderSide

DecoderBench = bench_of(DecoderSide)


@cocotb.test()
@cocotb.parametrize(case=list(CASES))
async def values_are_the_references(dut: Any, case: str) -> None:
    bench = DecoderBench(dut)
    await bench.single(case)
    assert dut.broken.value == 0, f"frame '{case}': a tile is said to be broken"


@cocotb.test(skip=len(SHORT) < 2)
async def frames_follow_each_other_without_a_reset(dut: Any) -> None:
    await DecoderBench(dut).back_to_back()


@cocotb.test(skip=len(SHORT) < 2)
@cocotb.parametrize(when=BREAKS)
async def a_reset_in_a_frame_leaves_nothing_behind(dut: Any, when: str) -> None:
    await DecoderBench(dut).broken_off(when)
