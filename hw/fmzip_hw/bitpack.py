"""Bit packing: fields of any length into words, lowest bit first. The inverse is ``bitunpack``."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from fmzip.format import BLOCK, WIDTH_BITS, WIDTH_MAX, ceil_div
from fmzip_hw.pipeline import register, register_flag

_LEVELS_PER_CYCLE = 3  # of 2:1 multiplexers, between two registers


def shift_left(m: Module, bits: Value, enable: Value, amount: int) -> Signal:
    """``bits`` or ``bits << amount``: one stage of the smallest barrel shifter."""
    shifted = Signal(len(bits) + amount)
    m.d.comb += shifted.eq(Mux(enable, bits << amount, bits))
    return shifted


def join_fields(
    m: Module, low: tuple[Value, Value], high: tuple[Value, Value], cycles: int
) -> tuple[Value, Value]:
    """Bits and length of two fields, the upper one right behind the lower one.

    Parameters
    ----------
    low, high : bits, 0 beyond the length, and length of either
    cycles : until they are joined
    """
    (low_bits, low_length), (bits, length) = low, high
    size = len(low_bits) + len(bits)
    total = register(m, (low_length + length)[: size.bit_length()], cycles)
    levels = list(reversed(range(len(low_length))))  # highest amount first
    per_cycle = ceil_div(len(levels), cycles)
    for start in range(0, len(levels), per_cycle):
        for k in levels[start : start + per_cycle]:
            bits = shift_left(m, bits, low_length[k], 1 << k)
        if start + per_cycle < len(levels):
            bits, low_bits = register(m, bits[:size]), register(m, low_bits)
            low_length = register(m, low_length)
    return register(m, (low_bits | bits)[:size]), total


class BitPacker(wiring.Component):
    """Appends one field per cycle and writes full words; a section ends with ``last``.

    Never stalls. Latency ``latency`` cycles from the field that fills a word to ``o_valid``. In
    the two cycles behind ``last`` no field may come: the partial word is written, then ``done``
    is raised for one cycle.

    Parameters
    ----------
    field_bits : longest field, at most ``word_bits``
    word_bits : size of a word, a power of two
    unit : all lengths are counted in this many bits, a power of two

    Members
    -------
    i_valid : In(1), append the field
    i_bits : In(field_bits), bits beyond the length are 0
    i_length : In, length of the field in units, 0 to ``field_bits / unit``
    i_last : In(1), the section ends here; with or without ``i_valid``
    o_valid, o_bits : Out, write a word
    done : Out(1), the section has been written
    residue : Out, units used in the last word, 0 if it is full or there is none; valid with done
    """

    def __init__(self, field_bits: int, word_bits: int, unit: int = 1):
        if field_bits > word_bits or field_bits % unit:
            raise ValueError(f"field of {field_bits} bits does not fit a word of {word_bits}")
        self.field_bits = field_bits
        self.word_bits = word_bits
        self.unit = unit
        self._position_bits = ceil_log2(word_bits // unit)
        self._stages = [
            range(low, min(low + _LEVELS_PER_CYCLE, self._position_bits))
            for low in range(0, self._position_bits, _LEVELS_PER_CYCLE)
        ]
        self.latency = 2 + len(self._stages)
        super().__init__({
            "i_valid": In(1),
            "i_bits": In(field_bits),
            "i_length": In(range(field_bits // unit + 1)),
            "i_last": In(1),
            "o_valid": Out(1),
            "o_bits": Out(word_bits),
            "done": Out(1),
            "residue": Out(self._position_bits),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Position of the field in its word; the only loop of the pipeline.
        position = Signal(self._position_bits)
        after = position + Mux(self.i_valid, self.i_length, 0)
        m.d.sync += position.eq(Mux(self.i_last, 0, after))
        shift = register(m, position)
        bits = register(m, Mux(self.i_valid, self.i_bits, 0))
        full = register_flag(m, after[self._position_bits :].any())
        last = register_flag(m, self.i_last)
        residue = register(m, after[: self._position_bits])
        valid = register_flag(m, self.i_valid)

        for stage in self._stages:
            for k in stage:
                bits = shift_left(m, bits, shift[k], self.unit << k)
            bits = register(m, bits)
            shift, full, last = register(m, shift), register_flag(m, full), register_flag(m, last)
            residue, valid = register(m, residue), register_flag(m, valid)

        held = Signal(self.word_bits, reset_less=True)  # the word that is being filled
        merged = Signal(self.word_bits)
        flush = register_flag(m, last)
        rest = register(m, residue)
        # The word that is being filled is empty. Until the first field comes it is, whatever a
        # reset has left in the registers before.
        fresh = Signal(init=1)
        m.d.comb += merged.eq(Mux(fresh, 0, held) | bits[: self.word_bits])
        m.d.sync += [
            held.eq(Mux(full, bits[self.word_bits :], merged)),
            fresh.eq(flush | (fresh & ~valid)),
            self.o_valid.eq(full | (flush & (rest != 0))),
            self.o_bits.eq(merged),
            self.done.eq(flush),
            self.residue.eq(rest),
        ]
        return m


class ValuePacker(wiring.Component):
    """Packs the codes of ``lanes`` symbols per cycle, each block with its own width.

    Never stalls; latency ``latency`` cycles to the word that a beat fills. The section ends as in
    ``BitPacker``.

    Parameters
    ----------
    lanes : codes per beat

    Members
    -------
    i_valid : In(1), a beat is there
    codes : In(lanes x 11), two's complement
    present : In(lanes), which codes are stored
    width : In(4), of every code; 0 stores nothing
    i_last : In(1), the tile ends here
    o_valid, o_bits : Out, write a word of ``16 * lanes`` bits
    done, residue : Out, as in ``BitPacker``
    """

    def __init__(self, lanes: int):
        self.lanes = lanes
        self._packer = BitPacker(lanes * WIDTH_MAX, 2 * BLOCK * lanes)
        self._join_cycles = [
            ceil_div((size * WIDTH_MAX).bit_length(), _LEVELS_PER_CYCLE + 1)
            for size in (1, 2, 4)[: ceil_log2(lanes)]
        ]
        self.latency = 1 + sum(self._join_cycles) + self._packer.latency
        super().__init__({
            "i_valid": In(1),
            "codes": In(data.ArrayLayout(WIDTH_MAX, lanes)),
            "present": In(lanes),
            "width": In(WIDTH_BITS),
            "i_last": In(1),
            "o_valid": Out(1),
            "o_bits": Out(2 * BLOCK * lanes),
            "done": Out(1),
            "residue": Out(self._packer.residue.shape()),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.packer = packer = self._packer
        mask = Signal(WIDTH_MAX)
        m.d.comb += mask.eq((1 << self.width) - 1)
        fields = []
        for lane in range(self.lanes):
            there = self.present[lane]
            bits = register(m, Mux(there, self.codes[lane] & mask, 0))
            fields.append((bits, register(m, Mux(there, self.width, 0))))
        # Neighbours are joined pairwise: the upper one moves up by the length of the lower one.
        for cycles in self._join_cycles:
            pairs = zip(fields[0::2], fields[1::2], strict=True)
            fields = [join_fields(m, low, high, cycles) for low, high in pairs]
        cycles = 1 + sum(self._join_cycles)
        m.d.comb += [
            packer.i_valid.eq(register_flag(m, self.i_valid, cycles)),
            packer.i_last.eq(register_flag(m, self.i_last, cycles)),
            packer.i_bits.eq(fields[0][0]),
            packer.i_length.eq(fields[0][1]),
            self.o_valid.eq(packer.o_valid),
            self.o_bits.eq(packer.o_bits),
            self.done.eq(packer.done),
            self.residue.eq(packer.residue),
        ]
        return m
