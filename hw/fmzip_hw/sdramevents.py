"""What an SDRAM does, as events of the bandwidth counter."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.regs import COUNTER
from fmzip_hw.meters import DqMeter
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.sdram import SdramController
from fmzip_hw.sdrampins import Command

EVENTS = (
    "open_cycles", "closed_cycles", "open_low_cycles", "closed_low_cycles", "act", "pre", "ref",
    "rd", "wr", "row_hits", "row_misses", "row_conflicts", "turnaround", "dq_write_toggles",
    "dq_read_toggles", "dq_write_ones", "dq_read_ones", "refresh_owed", "refresh_owed_max",
    "refresh_late",
)  # fmt: skip


class SdramEvents(wiring.Component):
    """Names an SDRAM controller's events, in the cycles in which ``counted`` is high.

    A command counts in the cycle in which it is on the pins, and with it its beat's toggles, which
    come later.

    Parameters
    ----------
    controller : whose status is looked at
    cas, read_delay : of it

    Members
    -------
    counted : In(1)
    events : Out, amounts by name
    """

    def __init__(self, controller: SdramController, cas: int, read_delay: int):
        self._controller, self._cas, self._delay = controller, cas, read_delay
        sizes = {name: Out(COUNTER[name].most.bit_length()) for name in EVENTS}
        super().__init__({"counted": In(1), "events": Out(wiring.Signature(sizes))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sdram, events, counted = self._controller, self.events, self.counted
        for name, value in (
            ("open_cycles", sdram.open & ~sdram.asleep),
            ("closed_cycles", ~sdram.open & ~sdram.asleep),
            ("open_low_cycles", sdram.open & sdram.asleep),
            ("closed_low_cycles", ~sdram.open & sdram.asleep),
            ("act", sdram.command == Command.ACT),
            ("pre", sdram.closed),
            ("ref", sdram.command == Command.REF),
            ("rd", sdram.command == Command.RD),
            ("wr", sdram.command == Command.WR),
            ("row_hits", sdram.hit),
            ("row_misses", sdram.miss),
            ("row_conflicts", sdram.conflict),
            ("turnaround", sdram.turnaround),
            ("refresh_owed", sdram.owed),
            ("refresh_owed_max", sdram.owed),
            ("refresh_late", sdram.late),
        ):
            with m.If(counted):
                m.d.comb += getattr(events, name).eq(value)
        m.submodules.dq = dq = DqMeter()
        # As late as what is read is seen, so that the order is that of the bus.
        late = self._delay + 1
        m.d.comb += [
            dq.write.eq(register_flag(m, sdram.pins.dq_oe, late)),
            dq.w_beat.eq(register(m, sdram.pins.dq_o, late)),
            dq.w_counted.eq(register_flag(m, counted, late)),
            dq.read.eq(sdram.beat_valid),
            dq.r_beat.eq(sdram.beat),
            dq.r_counted.eq(register_flag(m, counted, late + self._cas)),
        ]
        for way in ("write", "read"):
            for what in ("toggles", "ones"):
                event = getattr(events, f"dq_{way}_{what}")
                m.d.comb += event.eq(getattr(dq, f"{way}_{what}"))
        return m
