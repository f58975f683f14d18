"""The stream contract as assertions around any component."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In


@dataclass(frozen=True)
class Stream:
    """One stream of a component: its name, its signals, and whether it goes in."""

    name: str
    payload: Any
    valid: Any
    ready: Any
    inward: bool


def streams_of(component: Any) -> list[Stream]:
    """All streams of a component, however deep in its signature."""
    found: dict[str, dict[str, Any]] = {}
    inward: dict[str, bool] = {}
    for path, member, value in component.signature.flatten(component):
        name = "_".join(map(str, path[:-1]))
        found.setdefault(name, {})[str(path[-1])] = value
        if path[-1] == "valid":
            inward[name] = member.flow == In
    return [
        Stream(name, parts["payload"], parts["valid"], parts["ready"], inward[name])
        for name, parts in found.items()
        if {"payload", "valid", "ready"} <= parts.keys()
    ]


class Held(wiring.Component):
    """Around a component: what is offered on an output is held; its inputs are free.

    On an input stream the same is assumed.

    Parameters
    ----------
    dut : the component
    constant : see ``surround``
    given : what is assumed of other inputs: that a command comes when it may
    """

    def __init__(
        self,
        dut: Any,
        *,
        constant: tuple[str, ...] = (),
        given: Callable[[Any], list[Value]] = lambda dut: [],
    ):
        self.dut = dut
        self._constant, self._given = constant, given
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = self.dut
        surround(m, self.dut, constant=self._constant)
        m.d.comb += [Assume(rule) for rule in self._given(self.dut)]
        return m


def surround(m: Module, dut: Any, *, constant: tuple[str, ...] = ()) -> None:
    """From the state behind a reset: free inputs, and held what is offered.

    Parameters
    ----------
    constant : begins of names of inputs that have any value, but always the same
    """
    m.d.comb += Assume(~ResetSignal())
    free(m, dut, constant=constant)
    began = Signal()
    m.d.sync += began.eq(1)
    for stream in streams_of(dut):
        held(m, stream, began, assume=stream.inward)


def free(m: Module, dut: Any, *, constant: tuple[str, ...] = ()) -> dict[str, Signal]:
    """Give every input of a component any value in every cycle; or always the same."""
    inputs = {}
    for path, member, value in dut.signature.flatten(dut):
        if member.flow == In:
            name = "_".join(map(str, path))
            make = AnyConst if any(name.startswith(c) for c in constant) else AnySeq
            inputs[name] = Signal(len(Value.cast(value)), name=f"free_{name}")
            m.d.comb += Value.cast(value).eq(make(len(Value.cast(value))))
    return inputs


def held(m: Module, stream: Stream, began: Signal, *, assume: bool) -> None:
    """Assert, or assume, that an offered payload is offered again until it is taken."""
    check = Assume if assume else Assert
    payload = Value.cast(stream.payload)
    before = Signal(len(payload), name=f"{stream.name}_before")
    waits = Signal(name=f"{stream.name}_waits")
    m.d.sync += [before.eq(payload), waits.eq(stream.valid & ~stream.ready)]
    with m.If(waits & began):
        m.d.comb += [check(stream.valid), check(payload == before)]


class InOrder(wiring.Component):
    """Around a component with streams ``i`` and ``o`` of one shape: nothing lost, doubled, moved.

    One payload of the input is marked, at any time; it must come out behind as many others as were
    inside before it, unchanged. No more than ``capacity`` are inside, nothing comes out of an empty
    component, and something is offered within ``patience`` cycles while any is inside.

    Parameters
    ----------
    dut : the component
    look : where payloads are inside, see ``fmzip_sim.formal.inner``; induction needs it
    """

    def __init__(self, dut: Any, capacity: int, patience: int, look: Callable[[Any], Any]):
        self.dut, self._capacity, self._patience, self._look = dut, capacity, patience, look
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = self.dut
        m.submodules.dut, *inner = self._look(dut)
        surround(m, dut)
        put = dut.i.valid & dut.i.ready
        order = in_order(m, put, Value.cast(dut.i.payload), dut.o, self._capacity, self._patience)
        _agree(m, order, *inner)
        return m


@dataclass(frozen=True)
class Order:
    """How many payloads are inside, and the marked one while it ``waits`` behind ``ahead``."""

    inside: Signal
    ahead: Signal
    token: Signal
    waits: Value


def in_order(
    m: Module, put: Value, payload: Value, out: Any, capacity: int, patience: int
) -> Order:
    """Assert the order of what is put and what is taken; see ``InOrder``."""
    take, payload_out = out.valid & out.ready, Value.cast(out.payload)
    inside, ahead = Signal(range(capacity + 2)), Signal(range(capacity + 2))
    marked, gone, chosen = Signal(), Signal(), Signal()
    token = Signal(len(payload))
    idle = Signal(range(patience + 2))
    m.d.comb += chosen.eq(AnySeq(1))
    m.d.sync += inside.eq(inside + put - take)
    m.d.comb += [Assert(inside <= capacity), Assert(~out.valid | (inside != 0))]
    with m.If(put & chosen & ~marked):
        m.d.sync += [marked.eq(1), token.eq(payload), ahead.eq(inside - take)]
    with m.Elif(marked & ~gone & take):
        m.d.sync += ahead.eq(ahead - 1)
        with m.If(ahead == 0):
            m.d.comb += Assert(payload_out == token)
            m.d.sync += gone.eq(1)
    with m.If(out.valid | (inside == 0)):
        m.d.sync += idle.eq(0)
    with m.Elif(idle <= patience):
        m.d.sync += idle.eq(idle + 1)
    m.d.comb += Assert(idle <= patience)
    return Order(inside, ahead, token, marked & ~gone)


class CreditOrder(wiring.Component):
    """``InOrder`` around a ``CreditFifo``: reserved only while free, put only what was reserved."""

    def __init__(self, dut: Any, capacity: int, patience: int, look: Callable[[Any, Signal], Any]):
        self.dut, self._capacity, self._patience, self._look = dut, capacity, patience, look
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut, owed = self.dut, Signal(range(self._capacity + 2))
        m.submodules.dut, *inner = self._look(dut, owed)
        surround(m, dut)
        m.d.sync += owed.eq(owed + dut.reserve - dut.put)
        m.d.comb += [Assume(~dut.reserve | dut.free), Assume(~dut.put | (owed != 0))]
        payload = Value.cast(dut.payload)
        order = in_order(m, dut.put, payload, dut.o, self._capacity, self._patience)
        _agree(m, order, *inner)
        return m


def _agree(m: Module, order: Order, inside: Value, rules: Any, at: Any) -> None:
    """Assert that what is inside a component is what went in, and where it has to be."""
    rules = [
        *rules,
        (1, order.inside == inside),
        (order.waits, order.ahead < inside),
        (order.waits, Value.cast(at(order.ahead)) == order.token),
    ]
    for when, rule in rules:
        m.d.comb += Assert(~Value.cast(when).bool() | rule)
