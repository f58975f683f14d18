"""The requests of an SDRAM controller: the one under way and the next, and what their rows need."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.regs import PORT_BYTES
from fmzip.sdram import SdramPart
from fmzip_hw.memport import ADDRESS_BITS, ROW_WORDS, Request

WORD_BEATS = PORT_BYTES // 2  # columns of 16 bits in a word of the port
_BEAT_BITS = exact_log2(WORD_BEATS)


def slot_layout(part: SdramPart) -> data.StructLayout:
    """A request on its way, in the chip's terms.

    ``left`` counts columns, ``last``: there is one left; ``opened``: the bank has the request's row
    open; ``foreign``: it has another one open.
    """
    return data.StructLayout({
        "valid": 1,
        "write": 1,
        "bank": part.bank_bits,
        "row": part.row_bits,
        "column": part.column_bits,
        "left": range(ROW_WORDS * WORD_BEATS + 1),
        "last": 1,
        "opened": 1,
        "foreign": 1,
    })  # fmt: skip


class RequestQueue(wiring.Component):
    """Two requests; the next one is looked up while the one before it moves its data.

    An address is (row, bank, column) from the top, so that rows that follow each other lie in
    different banks. A request's row is looked up when no other request can change its bank; that
    counts it, once, as a hit, a miss (bank closed) or a conflict (another row open).

    Parameters
    ----------
    part : gives the geometry

    Members
    -------
    request : In(stream of Request)
    open, rows : In, state of the banks
    hold : In(1), let no request become ``now``
    column : In(1), a column of ``now`` moves
    act_now, pre_now, act_next, pre_next : In(1), a command for a request is given
    prea : In(1), all banks are closed, and all rows have to be looked up again
    now, next : Out(``slot_layout``); ``next.valid`` only after it was looked up
    move : Out(1), ``next`` becomes ``now``
    waiting : Out(1), a request waits, looked up or not
    hit, miss, conflict : Out(1), a request was looked up
    """

    def __init__(self, part: SdramPart):
        self._part = part
        slot = slot_layout(part)
        banks = 1 << part.bank_bits
        super().__init__({
            "request": In(stream.Signature(Request)),
            "open": In(1).array(banks),
            "rows": In(part.row_bits).array(banks),
            "hold": In(1),
            "column": In(1),
            "act_now": In(1),
            "pre_now": In(1),
            "act_next": In(1),
            "pre_next": In(1),
            "prea": In(1),
            "now": Out(slot),
            "next": Out(slot),
            "move": Out(1),
            "waiting": Out(1),
            "hit": Out(1),
            "miss": Out(1),
            "conflict": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        now, next_ = self.now, self.next
        finish, move = Signal(), self.move
        movable = Signal()  # next.valid, and it was not held back a cycle ago
        opened, foreign = Signal(), Signal()  # of next, behind this cycle
        m.d.comb += [
            finish.eq(self.column & now.last),
            move.eq(movable & (~now.valid | finish)),
            opened.eq((next_.opened | self.act_next) & ~self.prea),
            foreign.eq(next_.foreign & ~self.pre_next & ~self.prea),
        ]
        m.d.sync += [next_.opened.eq(opened), next_.foreign.eq(foreign)]
        with m.If(self.column):
            m.d.sync += [
                now.column.eq(now.column + 1),
                now.left.eq(now.left - 1),
                now.last.eq(now.left == 2),
            ]
        with m.If(self.prea):
            m.d.sync += [now.opened.eq(0), now.foreign.eq(0)]
        with m.If(self.act_now):
            m.d.sync += now.opened.eq(1)
        with m.If(self.pre_now):
            m.d.sync += now.foreign.eq(0)
        with m.If(finish):
            m.d.sync += now.valid.eq(0)
        with m.If(move):
            m.d.sync += [now.eq(next_), now.opened.eq(opened), now.foreign.eq(foreign)]
        self._look_up(m, movable)
        return m

    def _look_up(self, m: Module, movable: Signal) -> None:
        """In two cycles: the row is compared in the first."""
        now, next_ = self.now, self.next
        counted = Signal()
        settled, is_open, same = Signal(), Signal(), Signal()
        address = self.request.payload.address
        part = self._part
        bits = [part.column_bits - _BEAT_BITS, part.bank_bits, part.row_bits]
        if sum(bits) > ADDRESS_BITS:
            raise ValueError(f"{part.name} is larger than the memory port's address space")
        column, bank, row = (Signal(size) for size in bits)
        m.d.comb += [
            self.request.ready.eq(~self.waiting),
            Cat(column, bank, row).eq(address),
        ]
        # Once settled, the bank cannot change any more, but by ``prea``.
        stays = ~now.valid | now.opened | (now.bank != next_.bank)
        m.d.sync += [
            settled.eq(self.waiting & ~self.move & stays & ~self.prea),
            is_open.eq(Array(self.open)[next_.bank]),
            same.eq(Array(self.rows)[next_.bank] == next_.row),
        ]
        found = settled & ~next_.valid & ~self.prea
        with m.If(found):
            m.d.sync += [
                next_.valid.eq(1),
                next_.opened.eq(is_open & same),
                next_.foreign.eq(is_open & ~same),
                counted.eq(1),
            ]
            with m.If(~counted):
                m.d.comb += [
                    self.hit.eq(is_open & same),
                    self.miss.eq(~is_open),
                    self.conflict.eq(is_open & ~same),
                ]
        m.d.sync += movable.eq((next_.valid | found) & ~self.hold)
        with m.If(self.move):
            m.d.sync += [next_.valid.eq(0), self.waiting.eq(0), counted.eq(0), movable.eq(0)]
        with m.Elif(self.prea):
            m.d.sync += [next_.valid.eq(0), movable.eq(0)]
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += [
                self.waiting.eq(1),
                next_.write.eq(self.request.payload.write),
                next_.bank.eq(bank),
                next_.row.eq(row),
                next_.column.eq(column << _BEAT_BITS),
                next_.left.eq(self.request.payload.words << _BEAT_BITS),
                next_.last.eq(0),  # a word has several columns
            ]
