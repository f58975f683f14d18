"""The pads of an SDRAM chip, with their registers in the I/O cells.

The chip's clock is inverted: what the controller puts out at a rising edge of its clock, the chip
takes half a period later. Both leave through a register of an I/O cell, so their delays cancel but
for those of the board, and the chip has half a period each of set-up and hold time, 5 ns at 100 MHz
of which it needs 1.5 and 0.8.

A column that is read comes back late: the chip puts it out behind an edge that is half a period
behind ours, 5.4 to 6 ns behind it, and the way there and back takes about 4 ns more. So it is taken
one and a half periods behind that edge of the chip, and not half of one::

    ours    |0      |1      |2
    chip        |0      |1      |2      column 0 leaves the chip behind its edge 0,
    dq      ---------|======|---        and is taken at our edge 2

At 100 MHz that leaves about 4 ns of set-up time and 2 ns of hold time: estimated, with 3.5 ns from
our clock to a pad, 1 ns from a pad to its register, and a column held 2.5 ns. No board was at hand.
"""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In

from fmzip.sdram import SdramPart
from fmzip_hw.sdrampins import sdram_pins

READ_DELAY = 2  # of the controller: a register on the way out and one on the way back


class ChipClock(wiring.Component):
    """The inverted clock at the pad of the chip's clock.

    Parameters
    ----------
    port : of the platform, requested with ``dir="-"``
    """

    def __init__(self, port: Any):
        self._port = port
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.buffer = buffer = io.DDRBuffer("o", self._port)
        m.d.comb += [buffer.o[0].eq(0), buffer.o[1].eq(1)]
        return m


class SdramPads(wiring.Component):
    """Connects a controller's pins to the pads of a board, all but the clock.

    Parameters
    ----------
    part : the chip
    port : its resource of the platform, requested with ``dir="-"`` for all of it

    Members
    -------
    pins : In(``sdram_pins``)
    """

    def __init__(self, part: SdramPart, port: Any):
        self._port = port
        super().__init__({"pins": In(sdram_pins(part))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pins, port = self.pins, self._port
        outputs = {
            "clk_en": pins.cke, "cs": ~pins.cs_n, "ras": ~pins.ras_n, "cas": ~pins.cas_n,
            "we": ~pins.we_n, "ba": pins.ba, "a": pins.a, "dqm": pins.dqm,
        }  # fmt: skip
        for name, value in outputs.items():
            if not hasattr(port, name):
                continue  # tied on the board
            m.submodules[name] = buffer = io.FFBuffer("o", getattr(port, name))
            m.d.comb += buffer.o.eq(value)
        m.submodules.dq = dq = io.FFBuffer("io", port.dq)
        m.d.comb += [dq.o.eq(pins.dq_o), dq.oe.eq(pins.dq_oe), pins.dq_i.eq(dq.i)]
        return m
