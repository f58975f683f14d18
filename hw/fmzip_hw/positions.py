"""A position of the coder RANS, turned around between pixels and planes."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from fmzip.format import BLOCK, Transform
from fmzip_hw.layout import HeadLayout, beats_per_block
from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register
from fmzip_hw.sequence import DownCounter, blocks_per_pixel
from fmzip_hw.slots import position_parts_max

BANKS = 4  # pixels, and planes, of a position of WHT4
_HALF = 4  # bits of a lane that are written on their own


def spatial(head: data.View) -> Value:
    """A position is 2 x 2 pixels."""
    return head.transform == Transform.WHT4


WORD = data.ArrayLayout(8, BLOCK)


class Rounds(wiring.Component):
    """Counts the groups of a position, round after round.

    Parameters
    ----------
    lanes : 2, 4 or 8: channels of a group
    padded : there are whole blocks of 8 channels, though groups of them may have none

    Members
    -------
    head : In(HeadLayout), constant during a frame
    start : In(1), begin a frame, two cycles or more behind a change of ``head``
    rounds : In(3), of a position: 1 to 4
    whole : In(1), all the same, this position has one round
    step : In(1), one group on
    group : Out, 0 to G - 1
    round : Out(2)
    last_group : Out(1), it is the last one of its round
    end : Out(1), and the last one of the position
    """

    def __init__(self, lanes: int = BLOCK, *, padded: bool = False):
        self._lanes, self._padded = lanes, padded
        self._bits = position_parts_max(lanes).bit_length()
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "rounds": In(range(BANKS + 1)),
            "whole": In(1),
            "step": In(1),
            "group": Out(self._bits - 1),
            "round": Out(ceil_log2(BANKS)),
            "last_group": Out(1),
            "end": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.groups = groups = DownCounter(self._bits)
        if self._padded:
            per_block = exact_log2(beats_per_block(self._lanes))
            per_pixel = register(m, blocks_per_pixel(self.head)) << per_block
        else:
            per_pixel = register(m, blocks_per_pixel(self.head, self._lanes))
        final = Signal()  # round
        m.d.comb += [
            groups.first.eq(per_pixel),
            groups.single.eq(register(m, per_pixel == 1)),
            groups.load.eq(self.start),
            groups.step.eq(self.step),
            self.last_group.eq(groups.last),
            self.end.eq(groups.last & (final | self.whole)),
        ]
        with m.If(self.start):
            m.d.sync += [self.group.eq(0), self.round.eq(0), final.eq(self.rounds == 1)]
        with m.Elif(self.step & groups.last):
            m.d.sync += [
                self.group.eq(0),
                self.round.eq(Mux(self.end, 0, self.round + 1)),
                final.eq((self.rounds == 1) | (~self.end & (self.round + 2 == self.rounds))),
            ]
        with m.Elif(self.step):
            m.d.sync += self.group.eq(self.group + 1)
        return m


class PositionBuffer(wiring.Component):
    """Holds two positions, each of which comes in one order and leaves in another.

    A position comes in ``i_rounds`` rounds of G words, and leaves group by group as often as its
    owner counts. One word per cycle comes and one leaves. With 2 x 2 pixels round r is bank r, and
    what leaves is the words of all banks; else a group has one place only, which may be written in
    halves, and the other banks give 0.

    Parameters
    ----------
    lanes : 2, 4 or 8
    padded : groups without channels come, too, see ``Rounds``

    Members
    -------
    head : In(HeadLayout), for transform and channels; constant during a frame
    start : In(1), begin a frame, two cycles or more behind a change of ``head``
    i_rounds : In(3), 1 to 4; constant during a frame
    room : Out(1), a word may be put
    put : In(1), put ``i``
    i : In(lanes x 8)
    halves : In(2), put the lower, the upper four bits of each lane; without ``put``, too, what is
        there may be written, to be overwritten by what is put
    i_whole : In(1), the position of ``i`` has one round
    i_round : Out(2), i_last_group, i_end : Out(1), where the next word to be put belongs
    i_mark : In(1), a mark of the position, with its last word
    some : Out(1), a word may be taken
    take : In(1), take a word: it is on ``o`` ``latency`` cycles later
    o_group : In, group of the word that is taken; o_end : In(1), it is the position's last one
    o_mark : Out(1), the mark of its position
    o : Out(4 x lanes x 8)
    """

    latency = BlockRam.latency + 1

    def __init__(self, lanes: int = BLOCK, *, padded: bool = False):
        self._lanes, self._coming = lanes, Rounds(lanes, padded=padded)
        self._bank_words = 2 * position_parts_max(lanes) // BANKS  # two pages
        word = data.ArrayLayout(8, lanes)
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "i_rounds": In(range(BANKS + 1)),
            "room": Out(1),
            "put": In(1),
            "i": In(word),
            "halves": In(2, init=3),
            "i_whole": In(1),
            "i_mark": In(1),
            "i_round": Out(ceil_log2(BANKS)),
            "i_last_group": Out(1),
            "i_end": Out(1),
            "some": Out(1),
            "take": In(1),
            "o_group": In(range(position_parts_max(lanes))),
            "o_end": In(1),
            "o_mark": Out(1),
            "o": Out(data.ArrayLayout(word, BANKS)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.coming = coming = self._coming
        wide = register(m, spatial(self.head))
        full = Signal(range(3))  # pages that are complete
        i_page, o_page = Signal(), Signal()
        put_end, take_end = self.put & coming.end, self.take & self.o_end
        m.d.comb += [
            coming.rounds.eq(self.i_rounds),
            coming.step.eq(self.put),
            coming.whole.eq(self.i_whole),
            self.i_round.eq(coming.round),
            self.i_last_group.eq(coming.last_group),
            self.i_end.eq(coming.end),
            coming.head.eq(self.head),
            coming.start.eq(self.start),
        ]
        marks = Signal(2)
        with m.If(put_end):
            m.d.sync += [i_page.eq(~i_page), marks.bit_select(i_page, 1).eq(self.i_mark)]
        with m.If(take_end):
            m.d.sync += o_page.eq(~o_page)
        with m.If(put_end & ~take_end):
            m.d.sync += full.eq(full + 1)
        with m.Elif(take_end & ~put_end):
            m.d.sync += full.eq(full - 1)
        m.d.comb += [self.room.eq(full != 2), self.some.eq(full != 0)]
        m.d.comb += self.o_mark.eq(marks.bit_select(o_page, 1))

        i_bank = Mux(wide, coming.round, coming.group[: len(coming.round)])
        o_bank = self.o_group[: len(coming.round)]
        there = register(m, Mux(wide, (1 << BANKS) - 1, 1 << o_bank)[:BANKS], BlockRam.latency)
        lanes = [Value.cast(lane) for lane in self.i]
        for bank in range(BANKS):
            read = []
            for half in range(2):
                ram = BlockRam(_HALF * self._lanes, self._bank_words)
                m.submodules[f"bank{bank}half{half}"] = ram
                part = slice(_HALF * half, _HALF * half + _HALF)
                m.d.comb += [
                    ram.w_en.eq(self.room & self.halves[half] & (i_bank == bank)),
                    ram.w_addr.eq(self._address(i_page, coming.group, wide)),
                    ram.w_data.eq(Cat(lane[part] for lane in lanes)),
                    ram.r_en.eq(1),
                    ram.r_next.eq(1),
                    ram.r_addr.eq(self._address(o_page, self.o_group, wide)),
                ]
                read.append(ram.r_data)
            # The 0 is the reset of a register: it needs no cell.
            lanes_read = (r.word_select(lane, _HALF) for lane in range(self._lanes) for r in read)
            word = register(m, Mux(there[bank], Cat(lanes_read), 0))
            m.d.comb += Value.cast(self.o[bank]).eq(word)
        return m

    def _address(self, page: Value, group: Value, wide: Value) -> Value:
        """Where a group is in its bank."""
        inside = exact_log2(self._bank_words) - 1
        shift = exact_log2(BANKS)
        return Cat(Mux(wide, group[:inside], group[shift : shift + inside]), page)
