"""Frames through encoder and decoder cores, for the tests of them."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Value
from tests.codec_bench import Case

from fmzip.format import BLOCK, FrameConfig, multiplier, rans_multiplier
from fmzip_sim.patterns import PATTERNS

LAST, NULL = 1 << 8 * BLOCK, 1 << 8 * BLOCK + 1


def words_of(frame: bytes) -> list[int]:
    """The words of a frame, or of a part of it."""
    return [int.from_bytes(frame[k : k + BLOCK], "little") for k in range(0, len(frame), BLOCK)]


def packet(words: Sequence[int]) -> list[int]:
    """The words as payloads of a decoder core, the last one ending the packet."""
    return [*words[:-1], words[-1] | LAST]


def composed(frame: bytes, config: FrameConfig) -> list[int]:
    """What an encoder core puts out: the tiles, then the head; data, last, head."""
    head = words_of(frame[: config.head_bytes])
    return [*packet(words_of(frame[config.head_bytes :])), *(w | LAST << 1 for w in packet(head))]


def configure(ctx: Any, core: Any, case: Case, config: FrameConfig | None = None) -> None:
    """Set the ports that hold the configuration."""
    config = config or case.config
    ctx.set(Value.cast(core.head), int.from_bytes(config.static_head(), "little"))
    if hasattr(core, "multiplier"):
        of = (
            rans_multiplier(config.step, config.transform)
            if config.rans
            else multiplier(config.step)
        )
        ctx.set(core.multiplier, of)
    if hasattr(core, "diffusion"):
        given = case.coding.diffusion
        for name in ("rounding", "left", "above", "corner"):
            ctx.set(getattr(core.diffusion, name), getattr(given, name))


async def load(ctx: Any, core: Any, case: Case) -> None:
    """Load the tables."""
    ctx.set(core.tables_start, 1)
    await ctx.tick()
    ctx.set(core.tables_start, 0)
    ctx.set(core.tables.valid, 1)
    for byte in case.coding.tables.to_bytes():
        ctx.set(core.tables.payload, byte)
        await ctx.tick().until(core.tables.ready)
    ctx.set(core.tables.valid, 0)
    await ctx.tick().until(core.tables_whole)


async def strobe(ctx: Any, *ports: Any) -> None:
    """Ports that are high for one cycle."""
    for port in ports:
        ctx.set(port, 1)
    await ctx.tick()
    for port in ports:
        ctx.set(port, 0)


async def run_core(
    ctx: Any,
    core: Any,
    inputs: Sequence[int],
    *,
    feed: str = "never",
    drain: str = "never",
    deadline: int = 60_000,
    stop: int | None = None,
) -> tuple[list[int], int]:
    """Behind a start: what comes out until the core is idle, and how many inputs it took.

    ``stop`` ends it after so many cycles. An offered payload must be held.
    """
    got: list[int] = []
    source, fed, offering = iter(inputs), 0, False
    feeding, draining = PATTERNS[feed](), PATTERNS[drain]()
    offered: int | None = None
    data_in, data_out = Value.cast(core.i.payload), Value.cast(core.o.payload)
    for now in range(deadline):
        if now == stop:
            break
        if not offering and next(feeding) and (word := next(source, None)) is not None:
            ctx.set(data_in, word)
            ctx.set(core.i.valid, 1)
            offering = True
        willing = next(draining)
        ctx.set(core.o.ready, willing)
        _, _, ready, valid, value, busy = await ctx.tick().sample(
            core.i.ready, core.o.valid, data_out, core.busy
        )
        if offering and ready:
            fed, offering = fed + 1, False
            ctx.set(core.i.valid, 0)
        assert offered is None or (valid and value == offered), f"cycle {now}: not held"
        offered = value if valid and not willing else None
        if valid and willing:
            got.append(value)
        if not busy:
            break
    else:
        raise AssertionError(f"busy after {deadline} cycles; {fed} in, {len(got)} out")
    ctx.set(core.i.valid, 0)
    ctx.set(core.o.ready, 0)
    return got, fed
