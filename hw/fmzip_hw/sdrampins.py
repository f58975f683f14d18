"""The pins of an SDR SDRAM, and what its command pins say."""

from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from fmzip.sdram import SdramPart

DQ_BITS = 16


class Command(enum.Enum, shape=3):  # type: ignore[call-arg]
    """What is on the command pins: RAS#, CAS#, WE#, active low, from bit 2."""

    MRS = 0
    REF = 1
    PRE = 2
    ACT = 3
    WR = 4
    RD = 5
    NOP = 7


def sdram_pins(part: SdramPart) -> wiring.Signature:
    """The pins of a chip, seen from the controller."""
    return wiring.Signature({
        "cke": Out(1, init=1),
        "cs_n": Out(1),
        "ras_n": Out(1, init=1),
        "cas_n": Out(1, init=1),
        "we_n": Out(1, init=1),
        "ba": Out(part.bank_bits),
        "a": Out(part.row_bits),
        "dqm": Out(DQ_BITS // 8, init=3),
        "dq_o": Out(DQ_BITS),
        "dq_oe": Out(1),
        "dq_i": In(DQ_BITS),
    })  # fmt: skip
