"""Registers and delays for pipelines that never stall; counters."""

from amaranth.hdl import Cat, Const, Module, Signal, Value, ValueLike


def register(m: Module, value: ValueLike, cycles: int = 1, *, enable: ValueLike = 1) -> Signal:
    """``value`` delayed by ``cycles`` registers, all with the same enable; shape is kept."""
    value = Value.cast(value)
    for _ in range(cycles):
        held = Signal(value.shape(), reset_less=True)
        with m.If(enable):
            m.d.sync += held.eq(value)
        value = held
    return value


def register_flag(m: Module, value: ValueLike, cycles: int = 1) -> Signal:
    """Like ``register``, but cleared by reset: for valid bits and other flags."""
    value = Value.cast(value)
    for _ in range(cycles):
        held = Signal(value.shape())
        m.d.sync += held.eq(value)
        value = held
    return value


def up_or_down(value: Value, down: Value) -> Value:
    """``value - 1`` if ``down``, else ``value + 1``, modulo its range, in one carry chain."""
    size = len(value)
    return (value + Cat(Const(1, 1), down.replicate(size - 1)))[:size]
