"""What the benches of the coder RANS share: their tables."""

from dataclasses import asdict

from cocotb.triggers import RisingEdge

from fmzip import regs
from fmzip.format import rans_multiplier
from fmzip.tables import Coding, Tables
from fmzip_sim.tb.bench import SHORT
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.positionwise import PositionBench

_LOAD_LIMIT = 1000  # cycles in which a byte of the tables is taken at the latest


class FmzBench(PositionBench):
    """A codec of the coder RANS, ``WithTables``."""

    short = SHORT[:4]  # their tables take most of the time
    _loaded: Tables | None = None

    def ports(self, case: Case) -> dict[str, int]:
        assert isinstance(case.coding, Coding)
        ports = {"head": int.from_bytes(case.config.static_head(), "little")}
        if hasattr(self.dut, "multiplier"):
            ports["multiplier"] = rans_multiplier(case.config.step, case.config.transform)
            ports["diffusion"] = regs.value_of("diffusion", asdict(case.coding.diffusion))
        return ports

    async def begin(self) -> None:
        for name in ("begin", "table_valid", "table_data"):
            getattr(self.dut, name).value = 0
        await super().begin()

    async def prepare(self, case: Case) -> None:
        """Load the case's tables, if they are others."""
        assert isinstance(case.coding, Coding)
        if self._loaded == case.coding.tables:
            return
        self._loaded = case.coding.tables
        dut, edge = self.dut, RisingEdge(self.dut.clk)
        for name, value in self.ports(case).items():
            getattr(dut, name).value = value
        dut.begin.value = 1
        await edge
        dut.begin.value = 0
        dut.table_valid.value = 1
        for number, byte in enumerate(self._loaded.to_bytes()):
            dut.table_data.value = byte
            for _ in range(_LOAD_LIMIT):
                await edge
                if dut.table_ready.value == 1:
                    break
            else:
                raise AssertionError(f"frame '{case.name}': byte {number} of the tables stays")
        dut.table_valid.value = 0
        for _ in range(_LOAD_LIMIT):
            await edge
            if dut.whole.value == 1:
                break
        else:
            raise AssertionError(f"frame '{case.name}': the tables are not whole")
        for _ in range(4):  # the last writes
            await edge
