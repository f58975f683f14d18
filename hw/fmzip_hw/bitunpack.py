"""Bit unpacking: fields out of words, lowest bit first. The inverse of ``bitpack``."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from fmzip.format import BLOCK, SECTION_BYTES, WIDTH_BITS, WIDTH_MAX
from fmzip_hw.multiply import small_product
from fmzip_hw.pipeline import register, register_flag

WORD = 8 * SECTION_BYTES  # everything inside the decoder is in words of a section's unit


def shift_right(bits: Value, amount: Value, keep: int, levels: range | None = None) -> Value:
    """``keep`` bits of ``bits >> amount``, as 2:1 multiplexers, the highest level first.

    Parameters
    ----------
    levels : bits of ``amount`` to work on; all of them if None
    """
    levels = levels if levels is not None else range(len(amount))
    for k in reversed(levels):
        # Bits that the levels below can still bring into the result.
        needed = keep + (1 << k) - (1 << levels.start)
        bits = Mux(amount[k], bits[1 << k : (1 << k) + needed], bits[:needed])
    return bits


class FieldUnpacker(wiring.Component):
    """Takes fields of one length out of a section's words, one per cycle.

    The rest of a section's last word is skipped. Latency ``latency`` cycles from a section's
    first word to its first field.

    Parameters
    ----------
    bits : longest field
    count : most fields in a section
    word : bits of a word, a power of two; at least four fields of any length that is used

    Members
    -------
    length : In, of each field, 1 to ``bits``; constant during a frame
    count : In(stream), fields of the next section; sections of no fields may be left out
    i : In(stream of ``word``)
    o : Out(stream of bits), fields; bits beyond the length are those of the next field
    """

    latency = 4

    def __init__(self, bits: int, count: int, word: int = WORD):
        self._bits, self._word = bits, word
        super().__init__({
            "length": In(range(bits + 1)),
            "count": In(stream.Signature(range(count + 1))),
            "i": In(stream.Signature(word)),
            "o": Out(stream.Signature(bits)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal.like(self.count.payload)  # fields of the section that are still to come
        busy = Signal()  # left != 0
        word = Signal(self._word)
        word_valid = Signal()
        following = Signal(self._word)
        following_valid = Signal()
        position = Signal(ceil_log2(self._word))
        after = Signal(len(position) + 1)  # position + length
        beyond = after[-1]  # the field ends with the word or behind it
        crosses = beyond & after[:-1].any()
        last = Signal()  # left == 1
        fire = Signal()
        used = Signal(range(3))  # words that are done with
        shifted_free = Signal()
        m.d.comb += [
            fire.eq(busy & word_valid & (~crosses | following_valid) & shifted_free),
            used.eq(Mux(fire, Mux(last, 1 + crosses, beyond), 0)),
        ]
        with m.If(fire):
            m.d.sync += [
                position.eq(after),
                after.eq(after[:-1] + self.length),
                left.eq(left - 1),
                last.eq(left == 2),
                busy.eq(~last),
            ]
        m.d.comb += self.count.ready.eq(~busy)
        with m.If(self.count.valid & ~busy):
            m.d.sync += [
                left.eq(self.count.payload),
                last.eq(self.count.payload == 1),
                busy.eq(self.count.payload != 0),
                position.eq(0),
                after.eq(self.length),
            ]

        # `following` is filled from the input; what it held moves on to `word`.
        advance = (used != 0) | ~word_valid
        m.d.comb += self.i.ready.eq(~following_valid)  # a word has at least four fields
        with m.If(advance):
            m.d.sync += [
                word.eq(following),
                word_valid.eq(following_valid & (used != 2)),
                following_valid.eq(0),
            ]
        with m.If(self.i.ready):
            m.d.sync += [following.eq(self.i.payload), following_valid.eq(self.i.valid)]

        # Two stages of shifting, moved on together.
        window = Cat(word, following)
        high, low = range(3, len(position)), range(3)
        coarse = Signal(self._bits + (1 << low.stop) - 1)
        coarse_amount = Signal(low.stop)
        coarse_valid = Signal()
        m.d.comb += shifted_free.eq(~coarse_valid | ~self.o.valid | self.o.ready)
        with m.If(shifted_free):
            m.d.sync += [
                coarse.eq(shift_right(window, position, len(coarse), high)),
                coarse_amount.eq(position),
                coarse_valid.eq(fire),
            ]
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.payload.eq(shift_right(coarse, coarse_amount, self._bits)),
                self.o.valid.eq(coarse_valid),
            ]
        return m


class ValueReader(wiring.Component):
    """Takes the codes of one beat per cycle out of the words of a value section.

    ``latency`` cycles from ``take`` to ``bits``. Takes a word per cycle, and holds up to four.
    Behind the last word of a tile anything follows, so that a damaged frame cannot stop it.

    Parameters
    ----------
    lanes : codes per beat

    Members
    -------
    i : In(stream of data 64, last 1), words of the section; ``last`` with the last of the tile
    load : In(1), another beat is to be taken next; with the take of the one before, or later
    length : In, its bits, at most ``11 * lanes``
    ready : Out(1), the beat that was loaded may be taken
    take : In(1), take it; only while ``ready``
    end : In(1), with ``take``: it is the last beat of its tile; what is left of it is skipped
    bits : Out(11 * lanes), the beat's bits, and behind them those that follow
    """

    latency = 4
    _SLOTS = 4

    def __init__(self, lanes: int):
        self._bits = lanes * WIDTH_MAX
        super().__init__({
            "i": In(stream.Signature(data.StructLayout({"data": WORD, "last": 1}))),
            "load": In(1),
            "length": In(range(self._bits + 1)),
            "ready": Out(1),
            "take": In(1),
            "end": In(1),
            "bits": Out(self._bits),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        slots = Array(Signal(WORD, name=f"slot{k}") for k in range(self._SLOTS))
        fill = Signal(range(self._SLOTS))  # slot that the next word goes to
        position = Signal(range(self._SLOTS * WORD))
        held = Signal(range(self._SLOTS * WORD + 1))  # bits from position to the end
        length = register(m, self.length, enable=self.load)
        # What is left of the bits held when the loaded beat has been taken: its sign tells whether
        # that is possible, so that no comparison is in the way of `take`.
        spare = Signal(signed(len(held) + 1))
        complete = Signal()  # the tile's last word has come
        skipping = Signal()  # the tile's last beat has been taken
        accept = Signal()
        # One cycle late, so with room for one word more.
        roomy = register_flag(m, held <= (self._SLOTS - 2) * WORD)
        m.d.comb += [
            self.ready.eq((~spare[-1] | complete) & ~skipping),
            self.i.ready.eq(~complete & (skipping | roomy)),
            accept.eq(self.i.valid & self.i.ready),
        ]
        with m.If(accept):
            m.d.sync += [
                slots[fill].eq(self.i.payload.data),
                fill.eq(fill + 1),
                complete.eq(self.i.payload.last),
            ]
        arrived = Mux(accept & ~skipping, WORD, 0)
        m.d.sync += held.eq(held + arrived)
        with m.If(self.take):
            m.d.sync += [held.eq(held - length + arrived), position.eq(position + length)]
        plus = spare + arrived
        both = plus - self.length
        with m.If(self.take & self.end):
            m.d.sync += [skipping.eq(1), held.eq(0), spare.eq(Mux(self.load, -self.length, 0))]
        with m.Else():
            m.d.sync += spare.eq(Mux(self.load, both, plus))
        with m.If(skipping & (complete | (accept & self.i.payload.last))):
            m.d.sync += [skipping.eq(0), complete.eq(0), position.eq(0), fill.eq(0)]

        # The words from the position on; a taken word may be overwritten one cycle later.
        count = -(-(WORD - 1 + self._bits) // WORD)
        start = register(m, position)
        first = start[ceil_log2(WORD) :]
        words = []
        for k in range(count):
            a, b, c, d = (slots[(k + j) % self._SLOTS] for j in range(self._SLOTS))
            words.append(Mux(first[1], Mux(first[0], d, c), Mux(first[0], b, a)))
        window = register(m, Cat(words))
        amount = register(m, start[: ceil_log2(WORD)])
        high, low = range(3, ceil_log2(WORD)), range(3)
        coarse = register(m, shift_right(window, amount, self._bits + 7, high))
        fine = register(m, amount[:3])
        m.d.comb += self.bits.eq(register(m, shift_right(coarse, fine, self._bits, low)))
        return m


class CodeSplitter(wiring.Component):
    """Splits the bits of one beat into its codes: the inverse of ``ValuePacker``'s joining.

    Never stalls; latency ``latency`` cycles. What is known of the beat comes ``lead`` cycles
    before its bits.

    Parameters
    ----------
    lanes : codes per beat

    Members
    -------
    bits : In(11 * lanes), code after code; bits behind the last one are ignored
    present : In(lanes), which codes are there; ``lead`` cycles early
    width : In(4), of every code; ``lead`` cycles early
    unsigned : In(lanes), codes without a sign; ``lead`` cycles early
    o : Out(lanes x signed(12)), 0 where not present
    """

    lead = 2

    def __init__(self, lanes: int):
        self.lanes = lanes
        # Halving takes two cycles where the shift has more than four levels; the signs take two.
        self._halves = [size // 2 for size in (8, 4, 2) if size <= lanes]
        self.latency = sum(self._cycles(half) for half in self._halves) + 2
        super().__init__({
            "bits": In(lanes * WIDTH_MAX),
            "present": In(lanes),
            "width": In(WIDTH_BITS),
            "unsigned": In(lanes),
            "o": Out(data.ArrayLayout(signed(WIDTH_MAX + 1), lanes)),
        })  # fmt: skip

    @staticmethod
    def _cycles(half: int) -> int:
        return 1 if (half * WIDTH_MAX).bit_length() <= 4 else 2

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parts: list[Value] = [self.bits]
        delay = 0
        for half in self._halves:
            size, cycles = 2 * half, self._cycles(half)
            halves: list[Value] = []
            for k, part in enumerate(parts):
                codes = self.present[k * size : k * size + half]
                lower = self._length(m, codes, half, delay)  # bits of the lower half
                keep = half * WIDTH_MAX
                halves.append(register(m, part[:keep], cycles))
                if cycles == 2:
                    split = len(lower) // 2
                    room = keep + (1 << split) - 1
                    part = register(m, shift_right(part, lower, room, range(split, len(lower))))
                    lower = register(m, lower[:split])
                halves.append(register(m, shift_right(part, lower, keep)))
            parts = halves
            delay += cycles

        width = register(m, self.width, self.lead + delay - 1)
        present = register(m, self.present, self.lead + delay + 1)
        unsigned = register(m, self.unsigned, self.lead + delay)
        below = register(m, ((1 << width) - 1)[:WIDTH_MAX], 2)  # bits of the code
        top = register(m, ((1 << width) >> 1)[:WIDTH_MAX])  # the bit of its sign
        for lane, part in enumerate(parts):
            sign = register(m, (part & top).any() & ~unsigned[lane])
            bits = register(m, part)
            code = Cat((Mux(below[j], bits[j], sign) for j in range(WIDTH_MAX)), sign)
            m.d.comb += self.o[lane].eq(register(m, Mux(present[lane], code, 0)).as_signed())
        return m

    def _length(self, m: Module, codes: Value, most: int, delay: int) -> Value:
        """Bits that the given codes take, ``lead + delay`` cycles later."""
        count = register(m, sum((codes[j] for j in range(most)), start=Value.cast(0)))
        product = register(m, small_product(count, register(m, self.width)))
        return register(m, product[: (most * WIDTH_MAX).bit_length()], delay)


assert WORD == 8 * BLOCK  # a raw block is a word
