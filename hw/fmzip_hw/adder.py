"""Sums in one carry chain each, where yosys would take two, or one and multiplexers."""

from amaranth.hdl import Cat, Value


def with_carry(a: Value, b: Value, carry: Value) -> Value:
    """``a + b + carry`` of signed values; one bit longer than the longer one."""
    return (Cat(carry, a).as_signed() + Cat(carry, b).as_signed())[1:].as_signed()


def add_or_subtract(a: Value, b: Value, minus: Value) -> Value:
    """``a - b`` of signed values if ``minus``, else ``a + b``; one bit longer than the longer."""
    inverted = Cat(b, b[-1]) ^ minus.replicate(len(b) + 1)  # -b may need the bit
    longest = max(len(a), len(b)) + 1
    return with_carry(a, inverted.as_signed(), minus)[:longest].as_signed()
