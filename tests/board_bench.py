"""What a board must do with a frame, and what its counters must then say: for all tests of boards.

The prediction of the counters is a model of its own: it knows the rules of the memory port and the
frame, and nothing of the gateware.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from tests.codec_bench import Case, tile_beats, tile_pixels, value_map

from fmzip import regs
from fmzip.device import Device
from fmzip.format import FrameConfig
from fmzip.reference import decode, encode
from fmzip.sdram import POSTPONED_MAX

WAITING = ("request_stalls", "write_stalls", "read_stalls", "encoder_stalls", "decoder_stalls")
BINS = tuple(name for name in regs.COUNTER if name.startswith("latency_from_"))
# What depends on when the memory refreshes, and on what it did before.
LOOSE = (
    "cycles", "row_switches", *WAITING, "open_cycles", "closed_cycles", "open_low_cycles",
    "closed_low_cycles", "act", "pre", "ref", "row_hits", "row_misses", "row_conflicts",
    "turnaround", "dq_write_toggles", "dq_read_toggles", "dq_write_ones", "dq_read_ones",
    "refresh_owed", "refresh_owed_max", "latency", "latency_min", "latency_max", *BINS,
)  # fmt: skip


def requests(start: int, end: int) -> Iterator[tuple[int, int]]:
    """First and last byte of each request that moves the bytes from ``start`` to ``end``."""
    while start < end:
        stop = min(end, start - start % regs.ROW_BYTES + regs.ROW_BYTES)
        yield start, stop - 1
        start = stop


def traffic(kind: str, parts: list[tuple[int, int]]) -> dict[str, int]:
    """Counters of the memory port, by the bytes that are moved in this order."""
    asked = [r for part in parts for r in requests(*part)]
    size = sum(end - start for start, end in parts)
    return {f"{kind}_requests": len(asked), f"{kind}_bytes": size}


def check_sums(counters: dict[str, int]) -> None:
    """What holds for every window, whatever was done in it."""
    c = counters
    times = ("open_cycles", "closed_cycles", "open_low_cycles", "closed_low_cycles")
    assert sum(c[name] for name in times) == c["cycles"]
    requests = c["write_requests"] + c["read_requests"]
    assert c["row_hits"] + c["row_misses"] + c["row_conflicts"] == requests
    assert sum(c[name] for name in BINS) == c["read_requests"]
    assert c["latency_min"] * c["read_requests"] <= c["latency"]
    assert c["latency"] <= c["latency_max"] * c["read_requests"]
    for way, command in (("write", "wr"), ("read", "rd")):
        assert 2 * c[command] >= c[f"{way}_bytes"]
        assert c[f"dq_{way}_toggles"] <= regs.DQ_BITS * c[command]
        assert c[f"dq_{way}_ones"] <= regs.DQ_BITS * c[command]
    assert c["rd"] + c["wr"] <= c["cycles"]
    assert c["refresh_late"] == 0
    assert c["refresh_owed_max"] <= POSTPONED_MAX


class Checker:
    """Sends maps through a board; every frame, value and counter must be the predicted one."""

    def __init__(self, device: Device):
        self.device = device
        self.row: int | None = None  # that the memory port was sent to last, if it is known

    def _switches(self, parts: list[tuple[int, int]]) -> set[int]:
        rows = [a // regs.ROW_BYTES for part in parts for a, _ in requests(*part)]
        inner = sum(a != b for a, b in pairwise(rows))
        # Of the first request it depends on who used the port before.
        first = {0, 1} if self.row is None else {int(rows[0] != self.row)}
        self.row = rows[-1]
        return {inner + k for k in first}

    def check(self, case: Case, base: int = 0) -> tuple[dict[str, int], dict[str, int]]:
        """A map into memory and back; the counters of encoder and decoder."""
        config, device = case.config, self.device
        expected = encode(case.values, config, case.coding)
        head = (base, base + config.head_bytes)
        tiles = (head[1], base + len(expected))
        beats = sum(tile_beats(config, device.lanes))
        where = f"{case}, base {base:#x}"

        device.counters(clear=True)
        assert device.encode(case.values, config, base, case.coding) == len(expected), where
        writing = device.counters(clear=True)
        assert device.read_memory(base, len(expected)) == expected, where
        assert not any(device.counters().values()), "the host's own accesses are counted"
        known = {
            **traffic("write", [tiles, head]),
            "encoder_beats": beats,
            "codec_bits_in": 8 * sum(tile_pixels(config)) * config.channels,
            "codec_bits_out": 8 * (len(expected) - config.head_bytes),
        }
        self._compare(writing, known, [tiles, head], where)

        tables = None if case.coding is None else case.coding.tables
        values = device.decode(config, base, tables)
        reading = device.counters(clear=True)
        original = decode(expected, tables)
        assert values.dtype == original.dtype, where
        np.testing.assert_array_equal(values, original, where)
        known = {**traffic("read", [head, tiles]), "decoder_beats": beats}
        self._compare(reading, known, [head, tiles], where)
        return writing, reading

    def _compare(
        self,
        counters: dict[str, int],
        known: dict[str, int],
        parts: list[tuple[int, int]],
        where: str,
    ) -> None:
        check_sums(counters)
        assert (2 * counters["wr"], 2 * counters["rd"]) == (
            counters["write_bytes"],
            counters["read_bytes"],
        ), where
        loose = (*LOOSE, "rd", "wr")
        exact = {k: v for k, v in counters.items() if k not in loose}
        assert exact == {**dict.fromkeys(exact, 0), **known}, where
        assert counters["row_switches"] in self._switches(parts), where
        cycles = counters["cycles"]
        write = counters["write_requests"] > 0
        beats = counters["encoder_beats" if write else "decoder_beats"]
        stalls = counters["encoder_stalls" if write else "decoder_stalls"]
        other = ("read_stalls", "decoder_stalls") if write else ("write_stalls", "encoder_stalls")
        assert not any(counters[name] for name in other), where
        # Each beat takes a cycle of its own, and a stalled one another.
        assert cycles >= beats + stalls, where
        if (
            beats <= self.device.stage_beats
        ):  # else words move, too, while the board waits for the host
            assert cycles >= counters["wr"] + counters["rd"], where
            assert all(counters[name] <= cycles for name in WAITING), where


def case_of(config: FrameConfig, kind: str = "blob", seed: int = 1) -> Case:
    """A case with a map of the given kind."""
    return Case(kind, config, value_map(config, kind, np.random.default_rng(seed)))
