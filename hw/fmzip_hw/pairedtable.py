"""A table in block RAM that two lanes look into, for the tables that every lane needs."""

from collections.abc import Sequence

from amaranth.hdl import ClockSignal, Const, Instance, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from fmzip_hw.memory import ECP5_SHAPES, bit_or_zero, is_ecp5
from fmzip_hw.pipeline import register


class PairedTable(wiring.Component):
    """A table that two readers look into at once; it is written while neither does.

    Data is at ``data`` two cycles after its address.

    Parameters
    ----------
    width : bits of a word
    depth : words, 1024 to 16384

    Members
    -------
    w_en, w_addr, w_data : In, write
    address : In, of either reader
    data : Out(width) for either; not defined for an address that comes with a write
    """

    latency = 2

    def __init__(self, width: int, depth: int):
        self._width, self._depth = width, depth
        address = range(depth)
        super().__init__({
            "w_en": In(1),
            "w_addr": In(address),
            "w_data": In(width),
            "address": In(address).array(2),
            "data": Out(width).array(2),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if is_ecp5(platform):
            self._ecp5(m)
            return m
        m.submodules.memory = memory = Memory(shape=self._width, depth=self._depth, init=[])
        write = memory.write_port()
        m.d.comb += [
            write.en.eq(self.w_en),
            write.addr.eq(self.w_addr),
            write.data.eq(self.w_data),
        ]
        for k, enable in enumerate((~self.w_en, Const(1))):
            read = memory.read_port()
            m.d.comb += [
                read.en.eq(enable),
                read.addr.eq(self.address[k]),
                self.data[k].eq(register(m, read.data)),
            ]
        return m

    def _ecp5(self, m: Module) -> None:
        bits = ceil_log2(self._depth)
        size, address_bits = next(shape for shape in ECP5_SHAPES[1:] if bits <= shape[1])
        unused = 14 - address_bits
        first = Mux(self.w_en, self.w_addr, self.address[0])
        for low in range(0, self._width, size):
            part = slice(low, min(low + size, self._width))
            ports: dict[str, Value] = {}
            for name, address in (("A", first), ("B", self.address[1])):
                ports |= {
                    f"i_CLK{name}": ClockSignal(),
                    f"i_CE{name}": Const(1),
                    f"i_OCE{name}": Const(1),
                    f"i_RST{name}": Const(0),
                    f"i_WE{name}": self.w_en if name == "A" else Const(0),
                }
                for k in range(3):
                    ports[f"i_CS{name}{k}"] = Const(0)
                for k in range(14):
                    # With 18 bits the two lowest address bits are the enables of bytes.
                    low_bit = Const(1) if size == 18 and k < 2 and name == "A" else Const(0)
                    ports[f"i_AD{name}{k}"] = (
                        low_bit if k < unused else bit_or_zero(address, k - unused)
                    )
                for k in range(18):
                    ports[f"i_DI{name}{k}"] = (
                        bit_or_zero(self.w_data[part], k) if name == "A" else Const(0)
                    )
            for name, word in zip("AB", self.data, strict=True):
                for k in range(part.stop - part.start):
                    ports[f"o_DO{name}{k}"] = word[part][k]
            m.submodules[f"part{low // size}"] = Instance(
                "DP16KD",
                p_DATA_WIDTH_A=size,
                p_DATA_WIDTH_B=size,
                p_REGMODE_A="OUTREG",
                p_REGMODE_B="OUTREG",
                p_WRITEMODE_A="NORMAL",
                p_WRITEMODE_B="NORMAL",
                p_CSDECODE_A="0b000",
                p_CSDECODE_B="0b000",
                p_RESETMODE="SYNC",
                p_GSR="DISABLED",
                **ports,
            )


def paired_tables(
    m: Module, name: str, width: int, write: Value, addresses: Sequence[Value]
) -> list[Value]:
    """The same table for an even number of readers; words, two cycles after the addresses."""
    words = []
    for k in range(0, len(addresses), 2):
        table = PairedTable(width, 1 << len(write.address))
        m.submodules[f"{name}{k // 2}"] = table
        m.d.comb += [
            table.w_en.eq(write.en),
            table.w_addr.eq(write.address),
            table.w_data.eq(write.data),
        ]
        for n in range(2):
            m.d.comb += table.address[n].eq(addresses[k + n])
            words.append(table.data[n])
    return words
