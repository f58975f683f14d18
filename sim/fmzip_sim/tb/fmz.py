"""What the benches of the coder RANS share: tables, and what must be on the wires."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from cocotb.triggers import RisingEdge

from fmzip import regs
from fmzip.format import BLOCK, POSITION_SIDE, ceil_div, rans_multiplier, round_up
from fmzip.reference.beats import pixel_order, to_beats
from fmzip.tables import Tables
from fmzip_sim.tb import wire
from fmzip_sim.tb.bench import SHORT, Bench
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.driver import Payload, Traffic

_LOAD_LIMIT = 1000  # cycles in which a byte of the tables is taken at the latest


class FmzBench(Bench):
    """A codec of the coder RANS, ``WithTables``."""

    short = SHORT[:4]  # their tables take most of the time
    _loaded: Tables | None = None

    def ports(self, case: Case) -> dict[str, int]:
        assert case.coding is not None
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
        assert case.coding is not None
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

    def cycles_per_beat(self, case: Case, seen: Traffic) -> float:
        at = self.beats_at(seen)
        return (at[-1] - at[0] + 1) / len(at)


def takes(case: Case) -> list[int]:
    """Values in each beat of a frame."""
    channels = case.config.channels
    pixel = [min(BLOCK, channels - k) for k in range(0, channels, BLOCK)]
    return pixel * len(pixel_order(case.config)[0])


def beats(case: Case, filler: int) -> list[int]:
    """Beats of the values to be coded; ``filler`` is in lanes without one."""
    data = to_beats(case.values, case.config, BLOCK)
    for beat, take in zip(data, takes(case), strict=True):
        beat[take:] = filler
    return [int.from_bytes(beat.tobytes(), "little") for beat in data]


def word_difference(case: Case, got: Sequence[Payload]) -> str | None:
    """The first word that is not the reference's, or None; data, last, raw of each."""
    for word, found in zip(wire.words(case.frame, BLOCK), got, strict=False):
        if found != (word.data, word.last, word.raw):
            data, last, raw = found
            return (
                f"frame '{case.name}': tile {word.tile}, word {word.number} is {data:016x}, last "
                f"{last}, raw {raw}, not {word.data:016x}, {word.last:d}, {word.raw:d}"
            )
    expected = len(wire.words(case.frame, BLOCK))
    return None if len(got) == expected else f"frame '{case.name}': {len(got)} of {expected} words"


def beat_difference(case: Case, got: Sequence[Payload]) -> str | None:
    """The first beat that does not carry the values of the decoded frame, or None.

    Parameters
    ----------
    got : data, keep, last of each beat; pixels that the map lacks may have any value
    """
    config = case.config
    side = POSITION_SIDE[config.transform]
    rows, cols, there = pixel_order(config)
    per_pixel = ceil_div(config.channels, BLOCK)
    sizes = [round_up(t.rows, side) * round_up(t.cols, side) for t in config.iter_tiles()]
    lasts = chain.from_iterable([*[0] * (size * per_pixel - 1), 1] for size in sizes)
    expected = to_beats(case.decoded, config, BLOCK)
    checks: Any = zip(expected, takes(case), lasts, got, strict=False)
    for k, (beat, take, end, (data, keep, last)) in enumerate(checks):
        pixel = k // per_pixel
        at = f"frame '{case.name}': row {rows[pixel]}, column {cols[pixel]}, block {k % per_pixel}"
        value = int.from_bytes(beat[:take].tobytes(), "little")
        found = data & ((1 << 8 * take) - 1)
        if there[pixel] and found != value:
            return f"{at}: values {found:0{2 * take}x}, not {value:0{2 * take}x}"
        if (keep, last) != ((1 << take) - 1, end):
            return f"{at}: keep {keep:#x}, last {last}, not {take} values, {end}"
    if len(got) == len(expected):
        return None
    return f"frame '{case.name}': {len(got)} of {len(expected)} beats"
