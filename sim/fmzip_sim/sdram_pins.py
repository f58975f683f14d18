"""The chip model of ``sdram_model`` at the pins of a controller in Amaranth's simulator."""

from typing import Any

from amaranth.hdl import Cat

from fmzip_sim.sdram_model import Pins, SdramChip


class ChipPins:
    """The connection of a chip to a controller's pins in Amaranth's simulator.

    Parameters
    ----------
    chip : the chip
    pins : the controller's, see ``fmzip_hw.sdrampins.sdram_pins``

    Members
    -------
    outputs : value to sample in each cycle, for ``step``
    """

    def __init__(self, chip: SdramChip, pins: Any):
        self.chip, self._dq_i = chip, pins.dq_i
        self._ba_bits = len(pins.ba)
        self._dq_at = 8 + self._ba_bits + len(pins.a)
        self.outputs = Cat(
            pins.cke, pins.cs_n, pins.ras_n, pins.cas_n, pins.we_n, pins.dq_oe, pins.dqm,
            pins.ba, pins.a, pins.dq_o,
        )  # fmt: skip

    def step(self, ctx: Any, value: int, counted: bool = True) -> None:
        """One cycle: ``value`` was sampled in it; sets what the controller sees in the next."""
        pins = Pins(
            cke=value & 1,
            cs_n=value >> 1 & 1,
            ras_n=value >> 2 & 1,
            cas_n=value >> 3 & 1,
            we_n=value >> 4 & 1,
            dq_oe=value >> 5 & 1,
            dqm=value >> 6 & 3,
            ba=value >> 8 & (1 << self._ba_bits) - 1,
            a=(value & (1 << self._dq_at) - 1) >> 8 + self._ba_bits,
            dq=value >> self._dq_at,
        )
        drives = self.chip.step(pins, counted)
        # What nobody drives reads as something else than data.
        ctx.set(self._dq_i, 0xDEAD if drives is None else drives)
