"""What an SDRAM controller knows of the chip: times that must pass, and the state of a bank."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.sdram import Cycles


class Timer(wiring.Component):
    """Holds a command back: ``over`` is low from the cycle behind ``start`` to ``cycles`` behind.

    Parameters
    ----------
    cycles : from the one command to the other, 1 or more

    Members
    -------
    start : In(1), the first command is given in this cycle
    over : Out(1), the second one may be given in this cycle
    """

    def __init__(self, cycles: int):
        if cycles < 1:
            raise ValueError(f"cycles must be at least 1, not {cycles}")
        self._cycles = cycles
        super().__init__({"start": In(1), "over": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._cycles == 1:
            m.d.comb += self.over.eq(1)
            return m
        left = Signal(range(self._cycles))
        m.d.sync += self.over.eq(left < 2)
        with m.If(self.start):
            m.d.sync += [left.eq(self._cycles - 1), self.over.eq(0)]
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        return m


class Bank(wiring.Component):
    """One bank: its row, and which commands it may be given.

    Parameters
    ----------
    cycles : the part's timing
    row_bits : bits of a row's address

    Members
    -------
    act, pre, wr, ref : In(1), this command is given to the bank
    act_row : In(row_bits), row of ``act``
    open : Out(1), a row is open; ``row`` is its address
    may_act : Out(1), ACT or REF may be given, if the bank is closed
    may_pre, may_column : Out(1), PRE, and RD or WR may be given, if the bank is open
    """

    def __init__(self, cycles: Cycles, row_bits: int):
        self._cycles = cycles
        super().__init__({
            "act": In(1),
            "act_row": In(row_bits),
            "pre": In(1),
            "wr": In(1),
            "ref": In(1),
            "open": Out(1),
            "row": Out(row_bits),
            "may_act": Out(1),
            "may_pre": Out(1),
            "may_column": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        t = self._cycles
        m.submodules.rcd = rcd = Timer(t.rcd)
        m.submodules.ras = ras = Timer(t.ras)
        m.submodules.rc = rc = Timer(t.rc)
        m.submodules.rp = rp = Timer(t.rp)
        m.submodules.wr = wr = Timer(t.wr)
        m.submodules.rfc = rfc = Timer(t.rfc)
        m.d.comb += [
            rcd.start.eq(self.act),
            ras.start.eq(self.act),
            rc.start.eq(self.act),
            rp.start.eq(self.pre),
            wr.start.eq(self.wr),
            rfc.start.eq(self.ref),
            self.may_act.eq(rc.over & rp.over & rfc.over),
            self.may_pre.eq(ras.over & wr.over),
            self.may_column.eq(rcd.over),
        ]
        with m.If(self.act):
            m.d.sync += [self.open.eq(1), self.row.eq(self.act_row)]
        with m.Elif(self.pre):
            m.d.sync += self.open.eq(0)
        return m
