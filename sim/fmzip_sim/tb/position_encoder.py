"""cocotb tests of the encoders that ``coders`` names: the words of ``fmzip.reference.encode``."""

from typing import Any

import cocotb

from fmzip_sim.tb.bench import BREAKS, CASES, SHORT
from fmzip_sim.tb.coders import bench_of
from fmzip_sim.tb.positionwise import EncoderSide

EncoderBench = bench_of(EncoderSide)


@cocotb.test()
@cocotb.parametrize(case=list(CASES))
async def words_are_the_references(dut: Any, case: str) -> None:
    await EncoderBench(dut).single(case)


@cocotb.test(skip=len(SHORT) < 2)
async def frames_follow_each_other_without_a_reset(dut: Any) -> None:
    await EncoderBench(dut).back_to_back()


@cocotb.test(skip=len(SHORT) < 2)
@cocotb.parametrize(when=BREAKS)
async def a_reset_in_a_frame_leaves_nothing_behind(dut: Any, when: str) -> None:
    await EncoderBench(dut).broken_off(when)
