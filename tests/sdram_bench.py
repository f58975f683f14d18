"""An SDRAM controller, the chip behind it, and requests from a plan, with what must come back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Cat
from tests.stream_bench import simulate

from fmzip_hw.sdram import SdramController
from fmzip_sim.patterns import PATTERNS
from fmzip_sim.sdram_model import SdramChip
from fmzip_sim.sdram_pins import ChipPins

STATUS = ("command", "bank", "all_banks", "open", "asleep", "hit", "miss", "conflict",
          "turnaround", "owed", "late", "ready")  # fmt: skip
COMMANDS = ("MRS", "REF", "PRE", "ACT", "WR", "RD", "?", "NOP")


@dataclass(frozen=True)
class Ask:
    """A request: words to write, or how many to read; ``wait`` idle cycles before it."""

    address: int
    data: tuple[int, ...] = ()
    words: int = 0
    wait: int = 0


@dataclass
class Seen:
    """What came of a plan.

    Members
    -------
    read : words that were read, in order
    trace : (cycle, command, bank), from the controller's own outputs; PREA for all banks
    total : sum of each status over the cycles
    cycles : all of them
    end : cycle of the last word
    owed_max : most refreshes that were postponed
    """

    read: list[int] = field(default_factory=list)
    trace: list[tuple[int, str, int]] = field(default_factory=list)
    total: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUS, 0))
    cycles: int = 0
    end: int = 0
    owed_max: int = 0


def run_plan(
    dut: SdramController,
    chip: SdramChip,
    plan: Sequence[Ask],
    *,
    w_stalls: str = "never",
    r_stalls: str = "never",
    tail: int = 60,
    deadline: int = 100_000,
) -> Seen:
    """Serve ``plan`` in order; a request is offered as soon as the one before it is taken.

    One loop for the chip and for all sides of the port: several are slow.
    """
    seen = Seen()
    bits = [(name, len(Cat(getattr(dut, name)))) for name in STATUS]
    to_read = sum(a.words for a in plan)
    to_write = [word for a in plan for word in a.data]
    connection = ChipPins(chip, dut.pins)
    status = Cat(getattr(dut, name) for name in STATUS)
    request, w, r = dut.port.request, dut.port.w, dut.port.r

    def watch(value: int) -> None:
        now = {}
        for name, size in bits:
            now[name] = value & (1 << size) - 1
            value >>= size
            seen.total[name] += now[name]
        command = COMMANDS[now["command"]]
        if command != "NOP":
            command = "PREA" if now["all_banks"] else command
            seen.trace.append((seen.cycles, command, now["bank"]))
        seen.owed_max = max(seen.owed_max, now["owed"])
        seen.cycles += 1

    async def bench(ctx: Any) -> None:
        w_pattern, r_pattern = PATTERNS[w_stalls](), PATTERNS[r_stalls]()
        asks, words = iter(plan), iter(to_write)
        wait, ask, asking = 0, next(asks, None), False
        wait = ask.wait if ask else 0
        word, writing, willing, left = next(words, None), False, None, tail
        offered: int | None = None
        for _ in range(deadline):
            if ask is not None and not asking:
                if wait:
                    wait -= 1
                else:
                    asking = True
                    ctx.set(request.payload.write, bool(ask.data))
                    ctx.set(request.payload.address, ask.address)
                    ctx.set(request.payload.words, len(ask.data) or ask.words)
                    ctx.set(request.valid, 1)
            if word is not None and not writing and next(w_pattern):
                writing = True
                ctx.set(w.payload, word)
                ctx.set(w.valid, 1)
            before, willing = willing, next(r_pattern) and len(seen.read) < to_read
            if willing != before:
                ctx.set(r.ready, willing)
            _, _, pins, state, asked, wrote, r_valid, r_payload = await ctx.tick().sample(
                connection.outputs, status, request.ready, w.ready, r.valid, r.payload
            )
            connection.step(ctx, pins)
            watch(state)
            if asking and asked:
                ask, asking = next(asks, None), False
                wait = ask.wait if ask else 0
                if ask is None or wait:
                    ctx.set(request.valid, 0)
            if writing and wrote:
                seen.end = seen.cycles
                word, writing = next(words, None), False
                ctx.set(w.valid, 0)
            if offered is not None:
                assert (r_valid, r_payload) == (1, offered), "an offered word changed"
            offered = r_payload if r_valid and not willing else None
            if r_valid and willing:
                seen.end = seen.cycles
                seen.read.append(r_payload)
            if ask is None and word is None and len(seen.read) == to_read:
                left -= 1
                if left == 0:
                    return
        raise AssertionError(f"{len(seen.read)} of {to_read} words read after {deadline} cycles")

    simulate(dut, bench)
    return seen


def expected(plan: Sequence[Ask]) -> list[int | None]:
    """The words that reading must give; None where nothing was written."""
    memory: dict[int, int] = {}
    words: list[int | None] = []
    for a in plan:
        for k, word in enumerate(a.data):
            memory[a.address + k] = word
        words += [memory.get(a.address + k) for k in range(a.words)]
    return words
