"""From a state's low byte to its token: a table of four slots to a word, for two readers."""

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, ESCAPE, TOTAL_BITS
from fmzip_hw.pairedtable import PairedTable, paired_tables
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.tables import STATISTIC_BITS, TOKEN_BITS, TokenWrite, write_layout

_SLOTS = 4  # of a word
_PLACE_BITS = 2
_CODE_BITS = 4
_ADDRESS_BITS = STATISTIC_BITS + TOTAL_BITS - _PLACE_BITS


def _decoded(code: int, place: int) -> tuple[int, bool]:
    """What is added to the token of the first slot, and whether there is an escape instead.

    Every token up to the limit has a frequency, so that the next slot has the same token, or the
    next one, or 31. Bit k of the code is set where slot k + 1 has another token than slot k, and
    bit 3 if the last of them is an escape.
    """
    bits = code & 7
    if code & 8:
        begins = bits.bit_length()
        if place >= begins:
            return 0, True
        bits &= (1 << begins - 1) - 1
    return (bits & ((1 << place) - 1)).bit_count(), False


def _logic(index: Value, function: Callable[[int], int], bits: int) -> Value:
    """A function of a few bits as a table in logic."""
    rows = [sum((function(n) >> k & 1) << n for n in range(1 << len(index))) for k in range(bits)]
    return Cat(Const(row, 1 << len(index)).bit_select(index, 1) for row in rows)


class TokenTables(wiring.Component):
    """Tokens of eight lanes; latency ``latency`` cycles.

    Members
    -------
    write : In(TokenWrite), in ascending order, all slots of a statistic; while nobody reads
    address : In(8 x 13), low byte of the state and above it the statistic
    tokens : Out(5 x 8)
    """

    latency = PairedTable.latency

    write: In(TokenWrite)
    address: In(data.ArrayLayout(STATISTIC_BITS + TOTAL_BITS, BLOCK))
    tokens: Out(data.ArrayLayout(TOKEN_BITS, BLOCK))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word_bits = TOKEN_BITS + _CODE_BITS
        words = paired_tables(
            m, "words", word_bits, self._packed(m), [a[_PLACE_BITS:] for a in self.address]
        )
        for lane, word in enumerate(words):
            place = register(m, self.address[lane][:_PLACE_BITS], self.latency)
            what = Cat(word[TOKEN_BITS:], place)

            def plus(n: int) -> int:
                return _decoded(n & 15, n >> _CODE_BITS)[0]

            def escapes(n: int) -> int:
                return _decoded(n & 15, n >> _CODE_BITS)[1]

            token = (word[:TOKEN_BITS] + _logic(what, plus, _PLACE_BITS))[:TOKEN_BITS]
            m.d.comb += self.tokens[lane].eq(Mux(_logic(what, escapes, 1), ESCAPE, token))
        return m

    def _packed(self, m: Module) -> data.View:
        """Writes of whole words."""
        write, packed = self.write, Signal(write_layout(_ADDRESS_BITS, TOKEN_BITS + _CODE_BITS))
        place = write.address[:_PLACE_BITS]
        base, latest = Signal(TOKEN_BITS), Signal(TOKEN_BITS)
        code = Signal(_CODE_BITS)
        other = write.data != latest
        with m.If(write.en):
            m.d.sync += latest.eq(write.data)
            with m.If(place == 0):
                m.d.sync += [base.eq(write.data), code.eq(0)]
            for k in range(1, _SLOTS):
                with m.If((place == k) & other):
                    m.d.sync += code[k - 1].eq(1)
                    with m.If(write.data == ESCAPE):
                        m.d.sync += code[3].eq(1)
        m.d.comb += [
            packed.en.eq(register_flag(m, write.en & (place == _SLOTS - 1))),
            packed.address.eq(register(m, write.address[_PLACE_BITS:])),
            packed.data.eq(Cat(base, code)),
        ]
        return packed
