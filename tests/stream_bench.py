"""One bench for every component with streams: feeds, drains, and checks the stream contract.

Stall patterns are named, so that a failing test says which one it was. ``run`` drives Amaranth's
own simulator; the benches on emitted Verilog have their twin in ``fmzip_sim.tb``.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from amaranth.hdl import Elaboratable, Value
from amaranth.sim import Simulator

from fmzip_sim.patterns import PATTERNS, SHY


def _drain(name: str | None) -> Iterator[bool]:
    if name is None:
        return cycle([False])
    return PATTERNS["never" if name == SHY else name]()


@dataclass
class Transfer:
    """What ``transfer`` saw.

    Members
    -------
    taken : payloads of the output, as integers
    fed_at, taken_at : cycles of the transfers, counted from the call
    watched : value of the watched signal at each input transfer
    """

    taken: list[int] = field(default_factory=list)
    fed_at: list[int] = field(default_factory=list)
    taken_at: list[int] = field(default_factory=list)
    watched: list[int] = field(default_factory=list)


async def transfer(
    ctx: Any,
    dut: Any,
    inputs: Sequence[int],
    outputs: int,
    *,
    feed: str = "never",
    drain: str | None = "never",
    watch: Value | int = 0,
    quiet: int = 0,
    deadline: int = 100_000,
) -> Transfer:
    """Feed ``inputs`` into ``dut.i`` and take ``outputs`` payloads from ``dut.o``.

    Checks that an offered payload is held until it is taken.

    Parameters
    ----------
    ctx : context of the simulation
    inputs : payloads, as integers
    outputs : how many payloads to take
    feed, drain : names of stall patterns; with no drain, nothing is taken
    watch : signal that is sampled with each input transfer
    quiet : cycles behind the last payload in which no other may be offered
    deadline : cycles after which to give up
    """
    seen = Transfer()
    feeding, draining = PATTERNS[feed](), _drain(drain)
    source = iter(inputs)
    offering, more = False, True
    offered: int | None = None
    watch = Value.cast(watch)
    payload_in, payload_out = Value.cast(dut.i.payload), Value.cast(dut.o.payload)
    left = quiet
    for now in range(deadline):
        if more and not offering and next(feeding):
            payload = next(source, None)
            more = offering = payload is not None
            if offering:
                ctx.set(payload_in, payload)
            ctx.set(dut.i.valid, offering)
        willing = next(draining) and (drain != SHY or offered is not None)
        if len(seen.taken) >= outputs:
            willing = False
            if left == 0 and not more:
                return seen
            left -= left > 0
        ctx.set(dut.o.ready, willing)
        _, _, ready, watched, valid, bits = await ctx.tick().sample(
            dut.i.ready, watch, dut.o.valid, payload_out
        )
        if offering and ready:
            seen.fed_at.append(now)
            seen.watched.append(watched)
            offering = False
            ctx.set(dut.i.valid, 0)
        if offered is not None:
            assert valid, f"cycle {now}: an offered payload was withdrawn"
            assert bits == offered, f"cycle {now}: an offered payload changed"
        offered = bits if valid and not willing else None
        if valid and willing:
            seen.taken.append(bits)
            seen.taken_at.append(now)
        elif valid and len(seen.taken) == outputs and drain is not None:
            raise AssertionError(f"cycle {now}: an extra payload")
    raise AssertionError(
        f"{len(seen.taken)} of {outputs} payloads out, {len(seen.fed_at)} of {len(inputs)} in, "
        f"after {deadline} cycles; feed {feed}, drain {drain}"
    )


def simulate(
    dut: Elaboratable,
    bench: Callable[[Any], Awaitable[None]],
    *beside: Callable[[Any], Awaitable[None]],
) -> None:
    """Run ``bench(context)`` on ``dut`` with a clock, and others beside it for as long."""
    sim = Simulator(dut)
    sim.add_clock(1e-8)
    sim.add_testbench(bench)
    for other in beside:
        sim.add_testbench(other, background=True)
    sim.run()


def run(dut: Any, inputs: Sequence[int], outputs: int, **options: Any) -> Transfer:
    """``transfer`` on ``dut`` alone, from reset; the options are those of ``transfer``."""
    result = Transfer()

    async def bench(ctx: Any) -> None:
        nonlocal result
        result = await transfer(ctx, dut, inputs, outputs, **options)

    simulate(dut, bench)
    return result


def pipeline(
    dut: Any,
    inputs: Sequence[dict[str, int]],
    outputs: Sequence[str],
    latency: int,
    constants: dict[str, int] | None = None,
) -> list[tuple[int, ...]]:
    """Outputs of a component that never stalls, ``latency`` cycles behind the inputs of a cycle.

    Parameters
    ----------
    inputs : for each cycle, values of the ports by name; arrays and structures as integers
    outputs : names of the ports to sample
    constants : values of further ports, set once, well before the first input

    Returns
    -------
    One tuple per input, in order.
    """
    seen: list[tuple[int, ...]] = []

    async def bench(ctx: Any) -> None:
        for name, value in (constants or {}).items():
            ctx.set(Value.cast(getattr(dut, name)), value)
        await ctx.tick().repeat(16)
        ports = [Value.cast(getattr(dut, name)) for name in outputs]
        for given in [*inputs, *[inputs[-1]] * latency]:
            for name, value in given.items():
                ctx.set(Value.cast(getattr(dut, name)), value)
            _, _, *sampled = await ctx.tick().sample(*ports)
            seen.append(tuple(sampled))

    simulate(dut, bench)
    return seen[latency:]


def join(values: Sequence[int], bits: int) -> int:
    """An array port's value as one integer; the first element lies in the lowest bits."""
    mask = (1 << bits) - 1
    return sum((int(v) & mask) << bits * k for k, v in enumerate(values))


def split(value: int, bits: int, count: int, signed: bool = True) -> list[int]:
    """The elements of an array port's value."""
    fields = [value >> bits * k & (1 << bits) - 1 for k in range(count)]
    return [f - (f >> bits - 1 << bits) if signed else f for f in fields]
