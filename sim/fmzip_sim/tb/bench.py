"""What encoder and decoder benches share: frames one by one, back to back, and after a reset.

Runs inside the simulator. ``FMZIP_CASES`` names the file with the cases, ``FMZIP_FIGURES`` the one
to which measured figures go.
"""

import json
import os
from abc import ABC, abstractmethod
from itertools import pairwise
from pathlib import Path
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

from fmzip_sim.tb import cases, wire
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.driver import PERIOD_NS, Driver, Payload, Traffic

CASES = {case.name: case for case in cases.load(Path(os.environ["FMZIP_CASES"]))}
# Those that are run once more, in a row: enough to meet every kind of neighbour.
SHORT = [case for case in CASES.values() if case.values.size <= 700 and not case.stalls][:16]
# How far a frame gets before the reset that it does not survive.
BREAKS = ("started", "one_in", "half_in", "all_in", "half_out")
_figures: dict[str, float] = {}


class Bench(ABC):
    """One component and what the reference expects of it.

    Parameters
    ----------
    dut : handle of the emitted module
    inputs, outputs, sample : see ``Driver``
    """

    short = SHORT

    def __init__(
        self, dut: Any, inputs: tuple[str, ...], outputs: tuple[str, ...], sample: str | None = None
    ) -> None:
        self.dut = dut
        self.lanes = len(dut.i_data) // 8
        self.driver = Driver(dut, lambda: RisingEdge(dut.clk), inputs, outputs, sample)

    @abstractmethod
    def ports(self, case: Case) -> dict[str, int]:
        """Values of the ports that hold the configuration."""

    @abstractmethod
    def payloads(self, case: Case) -> list[Payload]:
        """What goes in."""

    @abstractmethod
    def expected(self, case: Case) -> int:
        """How many payloads come out."""

    @abstractmethod
    def difference(self, case: Case, seen: Traffic) -> str | None:
        """The first difference from the reference, or None."""

    @abstractmethod
    def beats_at(self, seen: Traffic) -> list[int]:
        """Cycles in which values passed."""

    def cycles_per_beat(self, case: Case, seen: Traffic) -> float:
        """Cycles that a beat takes, behind the first tile if there are more.

        The first tile is left out since a decoder may put out blocks of zeros before it has the
        tile's first value, which is latency and not throughput.
        """
        at = self.beats_at(seen)
        first = sum(b.tile == 0 for b in wire.beats(case.values, case.config, self.lanes))
        start = at[0] - 1 if first == len(at) else at[first - 1]
        return (at[-1] - start) / sum(cycle > start for cycle in at)

    async def prepare(self, case: Case) -> None:  # noqa: B027 (most have nothing to do)
        """What has to be done before a frame is started."""

    async def begin(self) -> None:
        for name, value in self.ports(next(iter(CASES.values()))).items():
            getattr(self.dut, name).value = value
        self.driver.idle()
        await Timer(PERIOD_NS, "ns")  # all inputs are defined from the first edge on
        Clock(self.dut.clk, PERIOD_NS, "ns", impl="gpi").start()
        await self.driver.reset()

    async def run(self, case: Case) -> None:
        """One frame; the component is idle before and after."""
        await self.prepare(case)
        await self.driver.start(**self.ports(case))
        payloads = self.payloads(case)
        stalls = (case.feed, case.drain)
        seen = await self.driver.exchange(case.name, payloads, self.expected(case), *stalls)
        difference = self.difference(case, seen)
        assert difference is None, difference
        fed = len(seen.fed_at)
        assert fed == len(payloads), f"frame '{case.name}': takes {fed} of {len(payloads)} payloads"
        if not case.stalls:
            _figures[case.name] = self.cycles_per_beat(case, seen)
            Path(os.environ["FMZIP_FIGURES"]).write_text(json.dumps(_figures))

    async def single(self, name: str) -> None:
        """One frame after a reset, and nothing behind it."""
        await self.begin()
        await self.run(CASES[name])
        await self.driver.quiet(name)

    async def back_to_back(self) -> None:
        """Frames without a reset or a pause between them, twice, so that each has a neighbour."""
        await self.begin()
        for case in (*self.short, *reversed(self.short)):
            await self.run(case)
        await self.driver.quiet(case.name)

    async def broken_off(self, how: str) -> None:
        """A frame that a reset ends, and then a good one."""
        await self.begin()
        for case, successor in pairwise(self.short[:8]):
            payloads, expected = self.payloads(case), self.expected(case)
            fed, taken = {
                "started": (0, 0),
                "one_in": (1, 0),
                "half_in": (len(payloads) // 2, 0),
                "all_in": (len(payloads), 0),
                "half_out": (len(payloads), expected // 2),
            }[how]
            await self.prepare(case)
            await self.driver.start(**self.ports(case))
            await self.driver.exchange(case.name, payloads[:fed], taken)
            await self.driver.reset()
            await self.run(successor)
        await self.driver.quiet(successor.name)
