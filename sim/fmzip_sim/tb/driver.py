"""Drives one component in the simulator, and checks the contract of its streams.

The contract: an offered payload is held until it is taken, and is never withdrawn; valid never
waits for ready. The second half is what the drain pattern ``shy`` checks.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fmzip_sim.patterns import PATTERNS, SHY

PERIOD_NS = 10
IDLE_LIMIT = 3000  # cycles without a transfer after which nothing is expected any more
QUIET = 100  # cycles after the last transfer in which nothing may come

Payload = tuple[int, ...]


@dataclass
class Traffic:
    """What passed.

    Members
    -------
    taken : payloads of the output, field by field
    fed_at, taken_at : cycle of each transfer
    sampled : value of the sampled port at each transfer of the input
    """

    taken: list[Payload] = field(default_factory=list)
    fed_at: list[int] = field(default_factory=list)
    taken_at: list[int] = field(default_factory=list)
    sampled: list[int] = field(default_factory=list)


class Driver:
    """The ports of a component with one input stream ``i`` and one output stream ``o``.

    Parameters
    ----------
    dut : the simulated component
    edge : makes the trigger of a rising clock edge; sampled there, ports have the value before it
    inputs, outputs : fields of the two payloads
    sample : a port that is sampled at each transfer of the input
    """

    def __init__(
        self,
        dut: Any,
        edge: Callable[[], Any],
        inputs: Sequence[str],
        outputs: Sequence[str],
        sample: str | None = None,
    ) -> None:
        self.dut = dut
        self._edge = edge
        self._inputs = [getattr(dut, f"i_{name}") for name in inputs]
        self._outputs = [getattr(dut, f"o_{name}") for name in outputs]
        self._sample = None if sample is None else getattr(dut, sample)
        # While nothing is offered the payload is noise: who reads it then is found out.
        self._noise = random.Random(1)
        self._frame = ""

    def idle(self) -> None:
        """Offer nothing, take nothing, with noise on the payload."""
        for name in ("rst", "start", "i_valid", "o_ready"):
            getattr(self.dut, name).value = 0
        self._rest()

    async def reset(self) -> None:
        """Two cycles of reset."""
        self.idle()
        self.dut.rst.value = 1
        for _ in range(2):
            await self._edge()
        self.dut.rst.value = 0

    async def start(self, **ports: int) -> None:
        """Set the ports that hold the configuration, and begin a frame."""
        for name, value in ports.items():
            getattr(self.dut, name).value = value
        self.dut.start.value = 1
        await self._edge()
        self.dut.start.value = 0

    async def exchange(
        self,
        frame: str,
        payloads: Sequence[Payload],
        expected: int,
        feed: str = "never",
        drain: str = "never",
    ) -> Traffic:
        """Feed payloads and take as many as are expected, or until nothing moves any more.

        Parameters
        ----------
        frame : its name, for messages
        feed, drain : names of stall patterns

        Raises
        ------
        AssertionError : the contract is broken, or a port has undefined bits
        """
        self._frame = frame
        dut, seen = self.dut, Traffic()
        feed_pattern, drain_pattern = PATTERNS[feed](), PATTERNS.get(drain, PATTERNS["never"])()
        offering = False
        offered: Payload | None = None  # on the output, and not yet taken
        now = moved = 0
        while len(seen.fed_at) < len(payloads) or len(seen.taken) < expected:
            if not offering and len(seen.fed_at) < len(payloads) and next(feed_pattern):
                offering = True
                self._put(payloads[len(seen.fed_at)])
                dut.i_valid.value = 1
            willing = next(drain_pattern) and len(seen.taken) < expected
            if drain == SHY:
                willing &= offered is not None
            dut.o_ready.value = willing
            await self._edge()
            if offering and self._bits(dut.i_ready):
                offering = False
                dut.i_valid.value = 0
                self._rest()
                seen.fed_at.append(now)
                if self._sample is not None:
                    seen.sampled.append(self._bits(self._sample))
            payload = tuple(map(self._bits, self._outputs)) if self._bits(dut.o_valid) else None
            if offered is not None:
                where = f"frame '{frame}': cycle {now}, after {len(seen.taken)} payloads"
                assert payload is not None, f"{where}: an offered payload was withdrawn"
                assert payload == offered, f"{where}: an offered payload changed"
            offered = payload
            if payload is not None and willing:
                seen.taken.append(payload)
                seen.taken_at.append(now)
                offered = None
            if now in (seen.fed_at[-1:] + seen.taken_at[-1:]):
                moved = now
            if now - moved > IDLE_LIMIT:
                break
            now += 1
        dut.i_valid.value = 0
        dut.o_ready.value = 0
        return seen

    async def quiet(self, frame: str) -> None:
        """Check that nothing more is offered behind a frame."""
        self.dut.o_ready.value = 1
        for _ in range(QUIET):
            await self._edge()
            assert not self._bits(self.dut.o_valid), f"frame '{frame}': a payload behind its end"
        self.dut.o_ready.value = 0

    def _put(self, payload: Payload) -> None:
        for port, value in zip(self._inputs, payload, strict=True):
            port.value = value

    def _rest(self) -> None:
        self._put(tuple(self._noise.getrandbits(len(port)) for port in self._inputs))

    def _bits(self, port: Any) -> int:
        value = port.value
        try:
            return int(value) if len(port) == 1 else value.to_unsigned()
        except ValueError:
            what = f"frame '{self._frame}': {port._name} has undefined bits: {value}"
            raise AssertionError(what) from None
