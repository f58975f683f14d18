"""What induction needs to know of the inside of a component: where a payload is that went in."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.memory import Memory

Rules = list[tuple[Any, Any]]  # a condition, and what holds then


def signals(module: Module) -> dict[str, Signal]:
    """Signals that a module drives, by name."""
    return {signal.name: signal for signal in module._driving}


def opened(component: Any) -> Any:
    """The module that a component is elaborated to, so that what is inside can be named."""
    module = component.elaborate(None)
    component._MustUse__used = True
    return module


def _replace(module: Module, name: str, elaborated: Module) -> None:
    """Put what a submodule was elaborated to into its place."""
    named = module._named_submodules
    named[name] = (elaborated, named[name][1])


def slice_inside(dut: Any) -> tuple[Module, Value, Rules, Any]:
    """Of a ``Slice``: see ``fifo_inside``."""
    module = opened(dut)
    own = signals(module)
    spare, spare_valid = own["spare"], own["spare_valid"]

    def at(place: Value) -> Value:
        return Mux(place == 0, dut.o.payload, spare)

    return module, dut.o.valid + spare_valid, [(spare_valid, dut.o.valid)], at


def fifo_inside(dut: Any, depth: int) -> tuple[Module, Value, Rules, Any]:
    """Of a ``BlockFifo``.

    Returns
    -------
    The elaborated component; how many payloads are inside; what holds of its registers; and a
    function from a payload's place in the order to the payload.
    """
    module = opened(dut)
    own, ram = signals(module), module.submodules.ram
    cells = opened(ram)
    _replace(module, "ram", cells)
    memory: Memory = cells.submodules.memory
    look, fetch = memory.read_port(domain="comb"), memory.read_ports[0]
    count, fetched, tail = own["count"], own["fetched"], own["tail"]
    valid = dut.o.valid
    rules: Rules = [
        (1, (tail + count)[: len(tail)] == own["head"]),
        (1, own["some"] == (count != 0)),
        (1, count < depth),
        (count == depth - 1, own["full"]),
    ]

    def at(place: Value) -> Value:
        behind = place - valid  # in the memory's output, or in its cells
        module.d.comb += look.addr.eq((tail + behind - fetched)[: len(tail)])
        stored = Mux(fetched & (behind == 0), fetch.data, look.data)
        return Mux(valid & (place == 0), dut.o.payload, stored)

    return module, count + fetched + valid, rules, at


def credit_inside(dut: Any, owed: Signal) -> tuple[Module, Value, Rules, Any]:
    """Of a ``CreditFifo`` of which ``owed`` places are reserved and not filled; see above."""
    module = opened(dut)
    depth = signals(module)["places"].init
    fifo, inside, rules, at = fifo_inside(module.submodules.fifo, depth)
    _replace(module, "fifo", fifo)
    places = signals(module)["places"]
    rules += [
        (1, places + owed + inside == depth),
        (1, places != 0),
        (dut.free, places >= 2),
    ]
    return module, inside, rules, at
