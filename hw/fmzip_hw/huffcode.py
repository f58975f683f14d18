"""Canonical Huffman codes of symbols into words: ``docs/format.md``, 11.5 to 11.7."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from fmzip.format import (
    BLOCK,
    CODE_BITS_MAX,
    CODEBOOKS_MAX,
    COMPONENT_BITS,
    HUFFMAN_EXACT_BITS,
    HUFFMAN_TOKENS,
    ceil_div,
)
from fmzip.regs import CODE_FIELDS, ProjectionKind
from fmzip_hw.bitpack import BitPacker, join_fields
from fmzip_hw.memory import BlockRam
from fmzip_hw.pairedtable import paired_tables
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.projecttables import ProjectionWrite, write_of
from fmzip_hw.tables import write_layout

BOOK_BITS = ceil_log2(CODEBOOKS_MAX)
TOKEN_BITS = ceil_log2(HUFFMAN_TOKENS)
SYMBOL_BITS_MAX = CODE_BITS_MAX + COMPONENT_BITS  # of a symbol, with all that follows its code
CodeLayout = data.StructLayout(CODE_FIELDS)
# A symbol on its way: its number u, and the codebook of its component.
NumberLayout = data.StructLayout({"u": COMPONENT_BITS, "book": BOOK_BITS})


def number_of(symbol: Value) -> Value:
    """The number u of a symbol, signed, 11 bits."""
    sign = symbol[-1]
    return Cat(sign, (symbol ^ sign.replicate(len(symbol)))[: COMPONENT_BITS - 1])


def token_of(u: Value) -> Value:
    """The token of a number u."""
    token: Value = u[:HUFFMAN_EXACT_BITS]
    for octave in range(HUFFMAN_EXACT_BITS, COMPONENT_BITS):
        first = (1 << HUFFMAN_EXACT_BITS) + 2 * (octave - HUFFMAN_EXACT_BITS)
        token = Mux(u[octave], Cat(u[octave - 1], Const(first >> 1, TOKEN_BITS - 1)), token)
    return token


def own_bits(u: Value) -> Value:
    """What follows the code of a number's token: all bits below the two highest ones."""
    bits: Value = Const(0, COMPONENT_BITS - 2)
    for octave in range(HUFFMAN_EXACT_BITS, COMPONENT_BITS):
        bits = Mux(u[octave], u[: octave - 1], bits)
    return bits


class SizeTable(wiring.Component):
    """Bits of a number's code, with all that follows it. Latency ``latency`` cycles.

    Members
    -------
    write : In(ProjectionWrite); page : In(1)
    i : In(NumberLayout)
    o : Out(5)
    """

    latency = 1 + BlockRam.latency

    write: In(ProjectionWrite)
    page: In(1)
    i: In(NumberLayout)
    o: Out(CODE_FIELDS["size"])

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = BlockRam(len(self.o), 2 << BOOK_BITS + TOKEN_BITS)
        code = data.View(CodeLayout, self.write.data[: CodeLayout.size])
        m.d.comb += [
            memory.w_en.eq(write_of(self.write, ProjectionKind.CODES)),
            memory.w_addr.eq(self.write.address),
            memory.w_data.eq(code.size),
            memory.r_en.eq(1),
            memory.r_next.eq(1),
            memory.r_addr.eq(
                Cat(register(m, token_of(self.i.u)), register(m, self.i.book), self.page)
            ),
            self.o.eq(memory.r_data),
        ]
        return m


class HuffmanCoder(wiring.Component):
    """Codes ``lanes`` symbols per cycle into one stream of bits, or packs their numbers raw.

    Never stalls; ``latency`` cycles to the word that they fill. The section ends as in
    ``BitPacker``: in the two cycles behind ``i_last`` nothing may come. Equals
    ``reference.huffman.encode`` and ``encode_raw``.

    Parameters
    ----------
    lanes : 1, 2, 4 or 8

    Members
    -------
    write : In(ProjectionWrite); page : In(1), constant while symbols are on their way
    raw : In(1), with each of them
    i_valid : In(1), symbols are there
    i : In(lanes x NumberLayout); i_count : In, how many of them, from lane 0 on
    i_last : In(1), with ``i_valid``: the section ends here
    o_valid, o_bits : Out, write a word of ``word_bits``
    """

    def __init__(self, lanes: int = BLOCK):
        if lanes not in (1, 2, 4, 8):
            raise ValueError(f"lanes must be 1, 2, 4 or 8, not {lanes!r}")
        self.lanes = lanes
        self.word_bits = max(64, 1 << ceil_log2(SYMBOL_BITS_MAX * lanes))
        self._packer = BitPacker(SYMBOL_BITS_MAX * lanes, self.word_bits)
        self._join_cycles = [
            ceil_div((SYMBOL_BITS_MAX << k).bit_length(), 4) for k in range(exact_log2(lanes))
        ]
        self.latency = 1 + BlockRam.latency + 2 + sum(self._join_cycles) + self._packer.latency
        super().__init__({
            "write": In(ProjectionWrite),
            "page": In(1),
            "raw": In(1),
            "i_valid": In(1),
            "i": In(data.ArrayLayout(NumberLayout, lanes)),
            "i_count": In(range(lanes + 1)),
            "i_last": In(1),
            "o_valid": Out(1),
            "o_bits": Out(self.word_bits),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.packer = packer = self._packer
        there = self.i_valid.replicate(self.lanes) & Cat(
            self.i_count > lane for lane in range(self.lanes)
        )
        addresses = [
            Cat(register(m, token_of(i.u)), register(m, i.book), self.page) for i in self.i
        ]
        codes = self._codes(m, addresses)
        cycles = 1 + BlockRam.latency
        there = register_flag(m, there, cycles)
        raw = register(m, self.raw, cycles)
        fields = []
        for lane in range(self.lanes):
            u = register(m, self.i[lane].u, cycles)
            own = register(m, own_bits(register(m, self.i[lane].u)), cycles - 1)
            fields.append(self._field(m, data.View(CodeLayout, codes[lane]), u, own, raw,
                                      there[lane]))  # fmt: skip
        for cycles in self._join_cycles:
            pairs = zip(fields[0::2], fields[1::2], strict=True)
            fields = [join_fields(m, low, high, cycles) for low, high in pairs]
        cycles = self.latency - packer.latency
        m.d.comb += [
            packer.i_valid.eq(register_flag(m, self.i_valid, cycles)),
            packer.i_last.eq(register_flag(m, self.i_valid & self.i_last, cycles)),
            packer.i_bits.eq(fields[0][0]),
            packer.i_length.eq(fields[0][1]),
            self.o_valid.eq(packer.o_valid),
            self.o_bits.eq(packer.o_bits),
        ]
        return m

    def _codes(self, m: Module, addresses: list[Value]) -> list[Value]:
        """Words of CodeLayout, two cycles later."""
        address_bits = 1 + BOOK_BITS + TOKEN_BITS
        write = Signal(write_layout(address_bits, CodeLayout.size))
        m.d.comb += [
            write.en.eq(write_of(self.write, ProjectionKind.CODES)),
            write.address.eq(self.write.address),
            write.data.eq(self.write.data),
        ]
        if self.lanes > 1:
            return paired_tables(m, "codes", CodeLayout.size, write, addresses)
        m.submodules.codes = memory = BlockRam(CodeLayout.size, 1 << address_bits)
        m.d.comb += [
            memory.w_en.eq(write.en),
            memory.w_addr.eq(write.address),
            memory.w_data.eq(write.data),
            memory.r_en.eq(1),
            memory.r_next.eq(1),
            memory.r_addr.eq(addresses[0]),
        ]
        return [memory.r_data]

    @staticmethod
    def _field(
        m: Module, code: data.View, u: Value, own: Value, raw: Value, there: Value
    ) -> tuple[Value, Value]:
        """Bits and length of a symbol, two cycles later."""
        # Raw, nothing is in front of u.
        follows = register(m, Mux(there, Mux(raw | code.escape, u, own), 0))
        length = register(m, Mux(raw, 0, code.length))
        front = register(m, Mux(there & ~raw, code.code, 0))
        size = register(m, Mux(there, Mux(raw, COMPONENT_BITS, code.size), 0), 2)
        moved = (follows << length)[:SYMBOL_BITS_MAX]
        return register(m, moved | front), size
