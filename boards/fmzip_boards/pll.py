"""The ECP5's PLL: one clock from the board's oscillator."""

from dataclasses import dataclass

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In

# Lattice FPGA-DS-02012, section 3.18: limits in MHz.
_PHASE_DETECTOR = (3.125, 400.0)
_VCO = (400.0, 800.0)
_MIDDLE = sum(_VCO) / 2
_DIVIDER_MAX = 128
_FEEDBACK_MAX = 80
# Cycles of a lock before the clock is used. With eight registers nextpnr makes the clock in front
# of the gate a global one, from which it finds no way to the gate on the die of 12F and 25F.
_STEADY = 4


@dataclass(frozen=True)
class PllSettings:
    """Dividers of an EHXPLLL with its feedback from CLKOP.

    Members
    -------
    reference, feedback, output : CLKI_DIV, CLKFB_DIV, CLKOP_DIV
    """

    reference: int
    feedback: int
    output: int

    @property
    def phase(self) -> int:
        """CLKOP_CPHASE, with which the output is in phase with the input."""
        return (self.output - 1) // 2


def settings(input_hz: int, output_hz: int) -> PllSettings:
    """The dividers for exactly this clock; of those, the fastest phase detector.

    Raises
    ------
    ValueError : there are none
    """
    for reference in range(1, _DIVIDER_MAX + 1):
        detector = input_hz / reference / 1e6
        feedback, rest = divmod(output_hz * reference, input_hz)
        if rest or not 1 <= feedback <= _FEEDBACK_MAX:
            continue
        if not _PHASE_DETECTOR[0] <= detector <= _PHASE_DETECTOR[1]:
            continue
        speeds = {n: n * output_hz / 1e6 for n in range(1, _DIVIDER_MAX + 1)}
        good = {n: mhz for n, mhz in speeds.items() if _VCO[0] <= mhz <= _VCO[1]}
        if good:
            return PllSettings(reference, feedback, min(good, key=lambda n: abs(good[n] - _MIDDLE)))
    raise ValueError(f"no PLL setting makes {output_hz / 1e6:g} MHz of {input_hz / 1e6:g} MHz")


class Ecp5Pll(wiring.Component):
    """Drives the clock of the top's domain ``sync``, which stands still until the PLL has locked.

    So nothing needs a reset: all registers are what the bitstream says when the clock begins.

    Parameters
    ----------
    input_hz, output_hz : clock rates

    Members
    -------
    clk : In(1), the board's clock
    """

    def __init__(self, input_hz: int, output_hz: int):
        self._input_hz, self._output_hz = input_hz, output_hz
        self._settings = settings(input_hz, output_hz)
        super().__init__({"clk": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        clock, locked, steady = Signal(), Signal(), Signal()
        m.domains.pll = ClockDomain("pll", local=True, reset_less=True)
        found = self._settings
        low: dict[str, Value] = {
            f"i_{name}": Const(0)
            for name in ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PLLWAKESYNC", "ENCLKOP")
        }
        high: dict[str, Value] = {
            f"i_{name}": Const(1) for name in ("PHASEDIR", "PHASESTEP", "PHASELOADREG")
        }
        m.submodules.pll = Instance(
            "EHXPLLL",
            # nextpnr derives the clock of the output from that of the input. The loop filter is the
            # one that ecppll gives for all settings.
            a_FREQUENCY_PIN_CLKI=f"{self._input_hz / 1e6:g}",
            a_FREQUENCY_PIN_CLKOP=f"{self._output_hz / 1e6:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_OUTDIVIDER_MUXB="DIVB",
            p_OUTDIVIDER_MUXC="DIVC",
            p_OUTDIVIDER_MUXD="DIVD",
            p_CLKI_DIV=found.reference,
            p_CLKFB_DIV=found.feedback,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=found.output,
            p_CLKOP_CPHASE=found.phase,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            i_CLKI=self.clk,
            i_CLKFB=clock,
            o_CLKOP=clock,
            o_LOCK=locked,
            **low,
            **high,
        )
        m.d.comb += ClockSignal("pll").eq(clock)
        # The gate opens between two pulses, some cycles behind the lock, and behind the end of the
        # configuration, from which on these registers count.
        m.submodules.lock = FFSynchronizer(locked, steady, o_domain="pll", stages=_STEADY)
        m.submodules.gate = Instance("DCCA", i_CLKI=clock, i_CE=steady, o_CLKO=ClockSignal("sync"))
        return m
