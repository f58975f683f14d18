"""AXI4-Lite: accesses of an AXI4-Lite manager, one at a time, for a register file."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.regs import WORD_BYTES

OKAY, SLVERR = 0, 2


def axi_lite_members(prefix: str, address_bits: int) -> dict[str, Any]:
    """Ports of an AXI4-Lite subordinate of 32 bits, by name."""
    word = 8 * WORD_BYTES
    ports: dict[str, Any] = {
        "awaddr": In(address_bits), "awprot": In(3), "awvalid": In(1), "awready": Out(1),
        "wdata": In(word), "wstrb": In(WORD_BYTES), "wvalid": In(1), "wready": Out(1),
        "bresp": Out(2), "bvalid": Out(1), "bready": In(1),
        "araddr": In(address_bits), "arprot": In(3), "arvalid": In(1), "arready": Out(1),
        "rdata": Out(word), "rresp": Out(2), "rvalid": Out(1), "rready": In(1),
    }  # fmt: skip
    return {f"{prefix}_{name}": port for name, port in ports.items()}


class AxiLite(wiring.Component):
    """An AXI4-Lite subordinate: each write and each read becomes one access.

    Address and data of a write may come in any order. Outputs are registers, so no path leads
    through. An access takes three cycles; writes and reads do not wait for each other.

    Parameters
    ----------
    prefix : of the ports' names
    address_bits : of byte addresses

    Members
    -------
    ``prefix``_awaddr and the like : the AXI4-Lite port
    write, write_address, write_data, write_strobe : Out, a write; held until ``write_ack``, in
        whose cycle it is done
    write_ack, write_error : In(1), end of the write, and whether it is refused
    read_address : Out; read_data : In, its value two cycles later
    """

    def __init__(self, prefix: str, address_bits: int):
        self._prefix = prefix
        super().__init__({
            **axi_lite_members(prefix, address_bits),
            "write": Out(1),
            "write_address": Out(address_bits),
            "write_data": Out(8 * WORD_BYTES),
            "write_strobe": Out(WORD_BYTES),
            "write_ack": In(1),
            "write_error": In(1),
            "read_address": Out(address_bits),
            "read_data": In(8 * WORD_BYTES),
        })  # fmt: skip

    def _port(self, name: str) -> Signal:
        return getattr(self, f"{self._prefix}_{name}")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._port
        # Ready is low in reset, as AXI asks of valid and allows of ready.
        has_address, has_data = Signal(), Signal()
        awake = Signal()
        m.d.sync += awake.eq(1)
        m.d.comb += [
            p("awready").eq(awake & ~has_address),
            p("wready").eq(awake & ~has_data),
            self.write.eq(has_address & has_data & ~p("bvalid")),
        ]
        with m.If(p("awvalid") & p("awready")):
            m.d.sync += [has_address.eq(1), self.write_address.eq(p("awaddr"))]
        with m.If(p("wvalid") & p("wready")):
            m.d.sync += [
                has_data.eq(1),
                self.write_data.eq(p("wdata")),
                self.write_strobe.eq(p("wstrb")),
            ]
        with m.If(self.write & self.write_ack):
            m.d.sync += [
                has_address.eq(0),
                has_data.eq(0),
                p("bvalid").eq(1),
                p("bresp").eq(Mux(self.write_error, SLVERR, OKAY)),
            ]
        with m.Elif(p("bready")):
            m.d.sync += p("bvalid").eq(0)

        steps = Signal(2)  # a read under way: its address was taken, its data is there
        m.d.comb += p("arready").eq(awake & (steps == 0) & ~p("rvalid"))
        taken = p("arvalid") & p("arready")
        m.d.sync += steps.eq(Cat(taken, steps))
        with m.If(taken):
            m.d.sync += self.read_address.eq(p("araddr"))
        with m.If(steps[1]):
            m.d.sync += [p("rvalid").eq(1), p("rdata").eq(self.read_data)]
        with m.Elif(p("rready")):
            m.d.sync += p("rvalid").eq(0)
        m.d.comb += p("rresp").eq(OKAY)
        return m
