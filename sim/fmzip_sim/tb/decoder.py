"""cocotb tests of the decoder: it puts out the values of ``fmzip.reference.decode``."""

import random
from itertools import product
from typing import Any

import cocotb

from fmzip_sim.tb import wire
from fmzip_sim.tb.bench import BREAKS, CASES, SHORT, Bench
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.compare import beat_difference
from fmzip_sim.tb.driver import Payload, Traffic


class DecoderBench(Bench):
    def __init__(self, dut: Any) -> None:
        super().__init__(dut, ("data", "last", "raw"), ("data", "keep", "last"))

    def ports(self, case: Case) -> dict[str, int]:
        return {"head": int.from_bytes(case.config.static_head(), "little")}

    def payloads(self, case: Case) -> list[Payload]:
        return [(w.data, w.last, w.raw) for w in wire.words(case.frame, self.lanes)]

    def expected(self, case: Case) -> int:
        return len(wire.beats(case.values, case.config, self.lanes))

    def difference(self, case: Case, seen: Traffic) -> str | None:
        return beat_difference(case, self.lanes, seen.taken)

    def beats_at(self, seen: Traffic) -> list[int]:
        return seen.taken_at

    async def damaged(self) -> None:
        """Words of noise, a few and then all of them; and then, without a reset, a good frame."""
        await self.begin()
        noise = random.Random(1)
        for case, odds in product(SHORT, (0.1, 1.0)):
            words, expected = self.payloads(case), self.expected(case)
            bad = [
                (noise.getrandbits(8 * self.lanes) if noise.random() < odds else data, *flags)
                for data, *flags in words
            ]
            await self.driver.start(**self.ports(case))
            seen = await self.driver.exchange(case.name, bad, expected)
            fed, taken = len(seen.fed_at), len(seen.taken)
            assert (fed, taken) == (len(words), expected), (
                f"damaged frame '{case.name}': {fed} of {len(words)} words in, "
                f"{taken} of {expected} beats out"
            )
            await self.driver.quiet(case.name)
            await self.run(case)


@cocotb.test()
@cocotb.parametrize(case=list(CASES))
async def values_are_the_references(dut: Any, case: str) -> None:
    await DecoderBench(dut).single(case)


@cocotb.test(skip=len(SHORT) < 2)
async def frames_follow_each_other_without_a_pause(dut: Any) -> None:
    await DecoderBench(dut).back_to_back()


@cocotb.test(skip=len(SHORT) < 2)
@cocotb.parametrize(when=BREAKS)
async def a_reset_in_a_frame_leaves_nothing_behind(dut: Any, when: str) -> None:
    await DecoderBench(dut).broken_off(when)


@cocotb.test(skip=len(SHORT) < 2)
async def damaged_words_stop_nothing_and_harm_no_other_frame(dut: Any) -> None:
    await DecoderBench(dut).damaged()
