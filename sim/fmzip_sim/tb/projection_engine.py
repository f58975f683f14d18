"""cocotb tests of the projection engine: the products of ``fmzip.reference.project``, and when."""

import json
import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

from fmzip import projload
from fmzip.regs import PROJECTION_BLOCKS, ProjectionKind
from fmzip_hw.project import ProjectionEngine
from fmzip_hw.projecttables import ProjectionWrite
from fmzip_sim.patterns import PATTERNS
from fmzip_sim.tb.driver import IDLE_LIMIT, PERIOD_NS
from fmzip_sim.tb.products import Products
from fmzip_sim.tb.sizes import PROJECTION as SIZE

CASES = {
    given["name"]: Products.from_json(given)
    for given in json.loads(Path(os.environ["FMZIP_CASES"]).read_text())
}
_ROW = SIZE.entries // SIZE.multipliers // 2  # first one of the second page


class EngineBench:
    """Drives the engine, and is the memory of its inputs.

    Parameters
    ----------
    dut : handle of the emitted module
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut

    async def begin(self) -> None:
        for name in ("rst", "write", "page", "start", "there", "mark", "input_"):
            getattr(self.dut, name).value = 0
        await Timer(PERIOD_NS, "ns")  # all inputs are defined from the first edge on
        Clock(self.dut.clk, PERIOD_NS, "ns", impl="gpi").start()
        self.dut.rst.value = 1
        await self._edges(2)
        self.dut.rst.value = 0

    async def load(self, case: Products) -> None:
        """Matrices and offsets of a case, into its page."""
        kind, page = ProjectionKind.FORWARD_BASE, case.page
        memories: tuple[tuple[int, Iterable[int]], ...] = (
            (page, [page * _ROW]),
            (page * PROJECTION_BLOCKS, projload.blocks(case.affines, SIZE.multipliers)),
            (page * SIZE.values, projload.offsets(case.affines)),
            (page * _ROW * SIZE.multipliers // 2, projload.entries(case.affines, SIZE.multipliers)),
        )
        for k, (first, words) in enumerate(memories):
            for address, word in enumerate(words, first):
                fields = {"en": 1, "kind": kind + k, "address": address, "data": int(word)}
                self.dut.write.value = ProjectionWrite.const(fields).as_value().value
                await self._edges(1)
        self.dut.write.value = 0

    async def run(self, case: Products) -> None:
        """All positions of a case, and how long each of them takes."""
        dut, outputs = self.dut, case.expected.shape[1]
        dut.page.value = case.page
        dut.start.value = 1
        await self._edges(1)
        dut.start.value = 0
        await self._edges(ProjectionEngine.settle)
        wants = PATTERNS[case.wants]()
        begun: list[int] = []
        came: list[int] = []
        marks: list[int] = []
        read = [0] * ProjectionEngine.read_latency
        now = moved = 0
        while len(came) < case.expected.size:
            there = len(begun) < len(case.inputs) and next(wants)
            dut.there.value = there
            dut.mark.value = len(begun) & 1
            dut.input_.value = read[0]
            await RisingEdge(dut.clk)
            value = 0
            if begun and (address := self._value("address")) < case.inputs.shape[1]:
                value = int(case.inputs[len(begun) - 1, address])
            read = [*read[1:], value]
            if self._value("o_valid"):
                index, last = self._value("o_index"), self._value("o_last")
                where = f"'{case.name}': output {len(came)}"
                assert index == len(came) % outputs, f"{where} has the number {index}"
                assert last == (index == outputs - 1), f"{where}: last is {last}"
                came.append(dut.o.value.to_signed())
                marks.append(self._value("o_mark"))
                moved = now
            if self._value("taken"):
                assert there, f"'{case.name}': a position is begun that is not there"
                begun.append(now)
                moved = now
            assert now - moved < IDLE_LIMIT, f"'{case.name}': {len(came)} outputs, and no more"
            now += 1
        dut.there.value = 0
        wrong = np.flatnonzero(np.array(came) != case.expected.ravel())
        assert not len(wrong), (
            f"'{case.name}': position {wrong[0] // outputs}, output {wrong[0] % outputs} is "
            f"{came[wrong[0]]}, not {case.expected.ravel()[wrong[0]]}"
        )
        assert marks == [k // outputs & 1 for k in range(len(came))], f"'{case.name}': marks"
        if case.wants == "never":
            took = [b - a for a, b in pairwise(begun)]
            message = f"'{case.name}': positions take {took} cycles, not {case.cycles} each"
            assert took == [case.cycles] * len(took), message

    async def _edges(self, count: int) -> None:
        for _ in range(count):
            await RisingEdge(self.dut.clk)

    def _value(self, name: str) -> int:
        port = getattr(self.dut, name).value
        assert port.is_resolvable, f"{name} has undefined bits: {port}"
        return int(port) if len(port) == 1 else port.to_unsigned()


@cocotb.test()
async def products_are_the_references(dut: Any) -> None:
    """Cases behind each other, each loaded to its page, without a reset between them."""
    bench = EngineBench(dut)
    await bench.begin()
    for case in CASES.values():
        await bench.load(case)
        await bench.run(case)


@cocotb.test()
async def a_reset_among_positions_leaves_nothing_behind(dut: Any) -> None:
    """What was loaded is still there behind a reset, and nothing else."""
    bench = EngineBench(dut)
    await bench.begin()
    case = next(iter(CASES.values()))
    await bench.load(case)
    for cycles in (7, 40):
        dut.page.value = case.page
        dut.start.value, dut.there.value = 1, 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        for _ in range(cycles):
            await RisingEdge(dut.clk)
        dut.rst.value, dut.there.value = 1, 0
        await RisingEdge(dut.clk)
        dut.rst.value = 0
        # What left the multipliers before the reset may still be on its way.
        for _ in range(ProjectionEngine.latency + SIZE.multipliers):
            await RisingEdge(dut.clk)
        await bench.run(case)
