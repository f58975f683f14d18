"""Block RAM with an output register, and a FIFO made of it.

An ECP5 block RAM alone takes 5.8 ns from clock to output (speed grade 6), with its output register
1 ns. yosys does not use that register, so on ECP5 the cells are instantiated; anywhere else, in
simulation too, the same is described with ``amaranth.lib.memory``.
"""

from amaranth.hdl import Array, ClockSignal, Const, Instance, Module, ShapeLike, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from fmzip.format import ceil_div
from fmzip_hw.pipeline import register, up_or_down

# Width and address bits of an ECP5 block RAM (Lattice FPGA-TN-02204), widest first.
ECP5_SHAPES = ((36, 9), (18, 10), (9, 11), (4, 12), (2, 13), (1, 14))


def is_ecp5(platform: object) -> bool:
    """Cells of the ECP5 may be instantiated."""
    return str(getattr(platform, "device", "")).startswith("LFE5U")


class BlockRam(wiring.Component):
    """Memory with one write port and one read port, which has an output register.

    Data is at ``r_data`` two cycles after its address, if both enables are held. A word must not
    be read in the cycle in which it is written: what is read then is not defined.

    Parameters
    ----------
    width : bits of a word
    depth : words

    Members
    -------
    w_en, w_addr, w_data : In, write
    r_en, r_addr : In, read from the array
    r_next : In(1), load the output register
    r_data : Out(width)
    """

    latency = 2

    def __init__(self, width: int, depth: int):
        self._width, self._depth = width, depth
        address = range(depth)
        super().__init__({
            "w_en": In(1),
            "w_addr": In(address),
            "w_data": In(width),
            "r_en": In(1),
            "r_addr": In(address),
            "r_next": In(1),
            "r_data": Out(width),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if is_ecp5(platform):
            if ceil_log2(self._depth) > ECP5_SHAPES[-1][1]:
                self._ecp5_pages(m)
            else:
                self._ecp5(m)
            return m
        m.submodules.memory = memory = Memory(shape=self._width, depth=self._depth, init=[])
        write_port, read_port = memory.write_port(), memory.read_port()
        m.d.comb += [
            write_port.en.eq(self.w_en),
            write_port.addr.eq(self.w_addr),
            write_port.data.eq(self.w_data),
            read_port.en.eq(self.r_en),
            read_port.addr.eq(self.r_addr),
            self.r_data.eq(register(m, read_port.data, enable=self.r_next)),
        ]
        return m

    def _ecp5_pages(self, m: Module) -> None:
        """Deeper than a cell: a page is chosen behind the output registers, where there is time."""
        bits = ECP5_SHAPES[-1][1]
        w_page, r_page = self.w_addr[bits:], self.r_addr[bits:]
        words = []
        for k in range(ceil_div(self._depth, 1 << bits)):
            m.submodules[f"page{k}"] = page = BlockRam(self._width, 1 << bits)
            m.d.comb += [
                page.w_en.eq(self.w_en & (w_page == k)),
                page.w_addr.eq(self.w_addr[:bits]),
                page.w_data.eq(self.w_data),
                page.r_en.eq(self.r_en),
                page.r_addr.eq(self.r_addr[:bits]),
                page.r_next.eq(self.r_next),
            ]
            words.append(page.r_data)
        chosen = register(m, register(m, r_page, enable=self.r_en), enable=self.r_next)
        m.d.comb += self.r_data.eq(Array(words)[chosen])

    def _ecp5(self, m: Module) -> None:
        bits = ceil_log2(self._depth)
        size, address_bits = next(shape for shape in ECP5_SHAPES if bits <= shape[1])
        for low in range(0, self._width, size):
            part = slice(low, min(low + size, self._width))
            build = self._ecp5_wide if size == 36 else self._ecp5_narrow
            m.submodules[f"part{low // size}"] = build(part, size, address_bits)

    def _ecp5_wide(self, part: slice, size: int, address_bits: int) -> Instance:
        """512 words of 36 bits."""
        ports: dict[str, Value] = {
            "i_CLKW": ClockSignal(),
            "i_CLKR": ClockSignal(),
            "i_CEW": self.w_en,
            "i_CER": self.r_en,
            "i_OCER": self.r_next,
            "i_RST": Const(0),
        }
        for k in range(4):
            ports[f"i_BE{k}"] = Const(1)
        for k in range(3):
            ports[f"i_CSW{k}"] = ports[f"i_CSR{k}"] = Const(0)
        for k in range(address_bits):
            ports[f"i_ADW{k}"] = bit_or_zero(self.w_addr, k)
            ports[f"i_ADR{k + 5}"] = bit_or_zero(self.r_addr, k)
        for k in range(5):
            ports[f"i_ADR{k}"] = Const(0)
        for k in range(size):
            ports[f"i_DI{k}"] = bit_or_zero(self.w_data[part], k)
            # The halves change places: the lower one comes out at DO18 to DO35.
            read = self.r_data[part][k] if k < part.stop - part.start else Signal()
            ports[f"o_DO{(k + size // 2) % size}"] = read
        return Instance(
            "PDPW16KD",
            p_DATA_WIDTH_W=36,
            p_DATA_WIDTH_R=36,
            p_REGMODE="OUTREG",
            p_GSR="DISABLED",
            **ports,
        )

    def _ecp5_narrow(self, part: slice, size: int, address_bits: int) -> Instance:
        """Port A writes, port B reads; the address is in the upper bits of 14."""
        ports: dict[str, Value] = {
            "i_CLKA": ClockSignal(),
            "i_CLKB": ClockSignal(),
            "i_CEA": self.w_en,
            "i_WEA": Const(1),
            "i_OCEA": Const(0),
            "i_RSTA": Const(0),
            "i_CEB": self.r_en,
            "i_WEB": Const(0),
            "i_OCEB": self.r_next,
            "i_RSTB": Const(0),
        }
        for k in range(3):
            ports[f"i_CSA{k}"] = ports[f"i_CSB{k}"] = Const(0)
        unused = 14 - address_bits
        for k in range(14):
            # With 18 bits the two lowest address bits are the byte enables of the write port.
            low = Const(1) if size == 18 and k < 2 else Const(0)
            ports[f"i_ADA{k}"] = low if k < unused else bit_or_zero(self.w_addr, k - unused)
            ports[f"i_ADB{k}"] = Const(0) if k < unused else bit_or_zero(self.r_addr, k - unused)
        for k in range(18):
            ports[f"i_DIA{k}"] = bit_or_zero(self.w_data[part], k)
            ports[f"i_DIB{k}"] = Const(0)
        for k in range(part.stop - part.start):
            ports[f"o_DOB{k}"] = self.r_data[part][k]
        return Instance(
            "DP16KD",
            p_DATA_WIDTH_A=size,
            p_DATA_WIDTH_B=size,
            p_REGMODE_A="NOREG",
            p_REGMODE_B="OUTREG",
            p_WRITEMODE_A="NORMAL",
            p_WRITEMODE_B="NORMAL",
            p_CSDECODE_A="0b000",
            p_CSDECODE_B="0b000",
            p_RESETMODE="SYNC",
            p_GSR="DISABLED",
            **ports,
        )


def bit_or_zero(value: Value, k: int) -> Value:
    """Bit k of a value, or 0 beyond its end."""
    return value[k] if k < len(value) else Const(0)


class BlockFifo(wiring.Component):
    """FIFO in block RAM, with a fast output; one transfer per cycle.

    Latency ``latency`` cycles. Holds ``depth`` payloads, two of them at the output.

    Parameters
    ----------
    shape : of the payload
    depth : a power of two
    """

    latency = 3

    def __init__(self, shape: ShapeLike, depth: int):
        exact_log2(depth)
        self._depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        payload = Value.cast(self.o.payload)
        m.submodules.ram = ram = BlockRam(len(payload), self._depth)
        head = Signal(range(self._depth))
        tail = Signal(range(self._depth))
        count = Signal(range(self._depth + 1))  # payloads in the memory
        some = Signal()
        full = Signal()
        fetched = Signal()  # the memory's output is valid
        push, pop = Signal(), Signal()
        m.d.comb += [
            ram.r_next.eq(~self.o.valid | self.o.ready),
            ram.r_en.eq(~fetched | ram.r_next),
            self.i.ready.eq(~full),
            push.eq(self.i.valid & ~full),
            pop.eq(some & ram.r_en),
            ram.w_en.eq(push),
            ram.w_addr.eq(head),
            ram.w_data.eq(self.i.payload),
            ram.r_addr.eq(tail),
            payload.eq(ram.r_data),
        ]
        with m.If(push):
            m.d.sync += head.eq(head + 1)
        with m.If(pop):
            m.d.sync += tail.eq(tail + 1)
        with m.If(push ^ pop):
            # By the one of the two that is known early.
            m.d.sync += [count.eq(up_or_down(count, ~push)), some.eq(push | (count != 1))]
        # One cycle late, so two places early.
        m.d.sync += full.eq(count >= self._depth - 2)
        with m.If(ram.r_en):
            m.d.sync += fetched.eq(some)
        with m.If(ram.r_next):
            m.d.sync += self.o.valid.eq(fetched)
        return m
