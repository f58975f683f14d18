"""Data lines of a bus: how often they change."""


def dq_toggles(data: bytes, bus_bits: int, before: int = 0) -> int:
    """Changes of the data lines while bytes pass, the first in the lowest lines.

    Parameters
    ----------
    data : a whole number of transfers
    bus_bits : width of the bus, a multiple of 8
    before : what was on the lines; 0 by default

    Raises
    ------
    ValueError : a width that is no multiple of 8, or part of a transfer
    """
    if bus_bits < 8 or bus_bits % 8:
        raise ValueError(f"bus_bits must be a multiple of 8, not {bus_bits}")
    if 8 * len(data) % bus_bits:
        raise ValueError(f"{len(data)} bytes are no whole number of {bus_bits}-bit transfers")
    if not 0 <= before < 1 << bus_bits:
        raise ValueError(f"before must have {bus_bits} bits, not {before}")
    now = int.from_bytes(data, "little")
    last = (now << bus_bits | before) & ((1 << 8 * len(data)) - 1)
    return (now ^ last).bit_count()
