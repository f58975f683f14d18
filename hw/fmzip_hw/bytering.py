"""Handing the bytes of a stream to the lanes that want one: the front of renormalisation."""

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK
from fmzip_hw.pipeline import register, register_flag


class ByteRing(wiring.Component):
    """Gives each lane that wants one the next byte of a stream of words, lane 0 first.

    Never stalls; bytes come ``latency`` cycles behind ``wants``. Holds two words; a word that has
    been used up is replaced in the cycle in which the bytes behind it come.

    Parameters
    ----------
    lanes : 2, 4 or 8; also bytes of a word

    Members
    -------
    wants : In(lanes), lanes that take a byte
    word : In(8 x lanes), the next word of the stream
    prime : In(1), the stream begins: put the next word in its place, in the next cycle
    second : In(1), with ``prime``: it is the second word; the first one has come before
    pop : Out(1), ``word`` is taken in this cycle; ``latency`` cycles behind ``wants`` at most once
    o : Out(lanes x 8), the byte of each lane; anything for a lane that wants none
    """

    latency = 2

    def __init__(self, lanes: int = BLOCK):
        self._lanes = lanes
        super().__init__({
            "wants": In(lanes),
            "word": In(8 * lanes),
            "prime": In(1),
            "second": In(1),
            "pop": Out(1),
            "o": Out(data.ArrayLayout(8, lanes)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wants, lanes, rank_bits = self.wants, self._lanes, exact_log2(self._lanes)
        ranks = [register(m, _count(wants[:lane])) for lane in range(lanes)]
        total = register_flag(m, _count(wants))

        # One cycle behind: where the bytes are. What is taken now is there in the next cycle only,
        # so a word that comes in this cycle is looked at before it is in its place.
        position = Signal(rank_bits + 1)
        half = Signal()  # which word `pop` replaces
        after = (position + total)[: len(position)]
        m.d.sync += [
            position.eq(Mux(self.prime, 0, after)),
            self.pop.eq(self.prime | (after[-1] ^ position[-1])),
            half.eq(Mux(self.prime, self.second, position[-1])),
        ]
        words = [Signal(8 * lanes, name=f"word{k}") for k in range(2)]
        for k, word in enumerate(words):
            with m.If(self.pop & (half == k)):
                m.d.sync += word.eq(self.word)
        columns = []  # the bytes of a word's length from the position on, each in its column
        for column in range(lanes):
            byte = slice(8 * column, 8 * column + 8)
            which = (column < position[:rank_bits]) ^ position[-1]
            comes = self.pop & (half == which)
            columns.append(
                register(m, Mux(comes, self.word[byte], Mux(which, words[1][byte], words[0][byte])))
            )
        for lane, rank in enumerate(ranks):
            index = register(m, (position + rank)[:rank_bits])
            m.d.comb += self.o[lane].eq(Array(columns)[index])
        return m


def _count(flags: Value) -> Value:
    """How many flags are set."""
    return sum((flags[k] for k in range(len(flags))), start=Value.cast(0))[
        : len(flags).bit_length()
    ]
