"""CRC-32 of the frame format and of the link, several bytes per cycle.

Written with whole words: Amaranth's own generator works bit by bit, and with it the CRC units were
two thirds of the code that the system is compiled to for simulation.
"""

from zlib import crc32

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

_BITS = 32
_ONES = (1 << _BITS) - 1
RESIDUE = crc32(crc32(b"").to_bytes(4, "little"))  # of any data with its CRC behind it


def _step(state: int, data: int, size: int) -> int:
    """State, as it is without the final inversion, behind ``size`` bytes of data."""
    return crc32(data.to_bytes(size, "little"), state ^ _ONES) ^ _ONES


class Crc32(wiring.Component):
    """CRC-32 as in zlib, ``crc`` one cycle behind the data.

    Parameters
    ----------
    data_bits : per cycle, whole bytes; the lowest byte comes first

    Members
    -------
    start : In(1), begin anew; not with ``valid``
    valid, data : In
    crc : Out(32), of all data since ``start``
    match : Out(1), the last four bytes were the CRC of those before them
    """

    def __init__(self, data_bits: int):
        self._size, rest = divmod(data_bits, 8)
        if rest or self._size == 0:
            raise ValueError(f"data must be whole bytes, not {data_bits} bits")
        super().__init__({
            "start": In(1),
            "valid": In(1),
            "data": In(data_bits),
            "crc": Out(_BITS, init=0),
            "match": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = len(self.data)
        state = Signal(_BITS, init=_ONES)
        # The CRC is linear: the state meets the data, and each bit of the sum has its own effect.
        mixed = Signal(max(bits, _BITS))
        effects = [_step(0, 1 << k, self._size) for k in range(bits)]
        effects += [_step(1 << k, 0, self._size) for k in range(bits, _BITS)]
        terms: list[Value] = [Mux(mixed[k], effect, 0) for k, effect in enumerate(effects)]
        while len(terms) > 1:  # a balanced tree
            pairs = zip(terms[::2], terms[1::2], strict=False)
            terms = [a ^ b for a, b in pairs] + ([terms[-1]] if len(terms) % 2 else [])
        m.d.comb += [
            mixed.eq(self.data ^ state),
            self.crc.eq(~state),
            self.match.eq(self.crc == RESIDUE),
        ]
        with m.If(self.start):
            m.d.sync += state.eq(_ONES)
        with m.Elif(self.valid):
            m.d.sync += state.eq(terms[0])
        return m
