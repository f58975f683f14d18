"""From a state's low byte to its token: a table of four slots to a word, for two readers."""

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, TOTAL_BITS
from fmzip_hw.pairedtable import PairedTable, paired_tables
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.tables import STATISTIC_BITS, TOKEN_BITS, TokenWrite, write_layout

_SLOTS = 4  # of a word
_PLACE_BITS = 2
_LOW_BITS = 2
_HIGH_BITS = TOKEN_BITS - _LOW_BITS
_ADDRESS_BITS = STATISTIC_BITS + TOTAL_BITS - _PLACE_BITS

# Every token up to the limit has a frequency, so that the next slot has the same token, or the next
# one, or 31, the escape. So the upper bits of a word's tokens have at most three values, the last
# of three is that of the escape, and no sum is in the way of the address that a token is.
_WordLayout = data.StructLayout({
    "low": data.ArrayLayout(_LOW_BITS, _SLOTS),
    "first": _HIGH_BITS,  # upper bits of the first slot
    "second": _HIGH_BITS,  # the next value of the upper bits, if there is one
    "steps": _SLOTS - 1,  # the upper bits change behind slot k
})  # fmt: skip


def _logic(index: Value, function: Callable[[int], int], bits: int) -> Value:
    """A function of a few bits as a table in logic."""
    rows = [sum((function(n) >> k & 1) << n for n in range(1 << len(index))) for k in range(bits)]
    return Cat(Const(row, 1 << len(index)).bit_select(index, 1) for row in rows)


def _steps_before(index: int) -> int:
    """From the word's steps, and above them the slot's place, to the number of its upper bits."""
    steps, place = index & ((1 << _SLOTS - 1) - 1), index >> _SLOTS - 1
    return min(2, (steps & ((1 << place) - 1)).bit_count())


class TokenTables(wiring.Component):
    """Tokens of all lanes; latency ``latency`` cycles.

    Parameters
    ----------
    lanes : 2, 4 or 8

    Members
    -------
    write : In(TokenWrite), in ascending order, all slots of a statistic; while nobody reads
    address : In(lanes x 13), low byte of the state and above it the statistic
    tokens : Out(lanes x 5)
    """

    latency = PairedTable.latency

    def __init__(self, lanes: int = BLOCK):
        super().__init__({
            "write": In(TokenWrite),
            "address": In(data.ArrayLayout(STATISTIC_BITS + TOTAL_BITS, lanes)),
            "tokens": Out(data.ArrayLayout(TOKEN_BITS, lanes)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = paired_tables(
            m, "words", _WordLayout.size, self._packed(m), [a[_PLACE_BITS:] for a in self.address]
        )
        for lane, bits in enumerate(words):
            word = data.View(_WordLayout, bits)
            place = register(m, self.address[lane][:_PLACE_BITS], self.latency)
            number = _logic(Cat(word.steps, place), _steps_before, 2)
            high = Mux(number[1], ~0, Mux(number[0], word.second, word.first))
            m.d.comb += self.tokens[lane].eq(Cat(word.low[place], high[:_HIGH_BITS]))
        return m

    def _packed(self, m: Module) -> data.View:
        """Writes of whole words."""
        write, packed = self.write, Signal(write_layout(_ADDRESS_BITS, _WordLayout.size))
        place, high = write.address[:_PLACE_BITS], write.data[_LOW_BITS:]
        word, latest = Signal(_WordLayout), Signal(_HIGH_BITS)
        with m.If(write.en):
            m.d.sync += [latest.eq(high), word.low[place].eq(write.data[:_LOW_BITS])]
            with m.If(place == 0):
                m.d.sync += [word.first.eq(high), word.steps.eq(0)]
            for k in range(1, _SLOTS):
                with m.If((place == k) & (high != latest)):
                    m.d.sync += word.steps[k - 1].eq(1)
                    with m.If(~word.steps.any()):
                        m.d.sync += word.second.eq(high)
        m.d.comb += [
            packed.en.eq(register_flag(m, write.en & (place == _SLOTS - 1))),
            packed.address.eq(register(m, write.address[_PLACE_BITS:])),
            packed.data.eq(word),
        ]
        return packed
