"""Packing bytes into words from the end backwards: what a coder that runs backwards puts out."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK
from fmzip_hw.pipeline import register, register_flag


def prefix_counts(m: Module, flags: Value) -> list[Signal]:
    """How many of up to eight ``flags`` are set up to each of them, two cycles later.

    After a reset they are 0: what adds them up need not know whether they are of anything.
    """
    lower, upper = _few_counts(m, flags[:4]), _few_counts(m, flags[4:])
    both = [register_flag(m, lower[-1] + count) for count in upper]
    return [*(register_flag(m, count) for count in lower), *both]


def _few_counts(m: Module, flags: Value) -> list[Signal]:
    """The same of four flags, one cycle later: each bit is a function of four, which a cell is."""
    counts = []
    for k in range(len(flags)):
        table = [(n & (2 << k) - 1).bit_count() for n in range(1 << len(flags))]
        bits = range((k + 1).bit_length())
        rows = [sum((count >> b & 1) << n for n, count in enumerate(table)) for b in bits]
        counts.append(
            register_flag(m, Cat(Const(row, len(table)).bit_select(flags, 1) for row in rows))
        )
    return counts


class ByteStacker(wiring.Component):
    """Puts up to ``lanes`` bytes per cycle in front of those before; words fill from their top.

    Words are written as they fill up, the highest bytes of a tile in the first one. Never stalls;
    ``latency`` cycles from the bytes that fill a word to ``write``, and from ``end`` to ``done``.

    Parameters
    ----------
    lanes : 2, 4 or 8; also bytes of a word

    Members
    -------
    put : In(lanes), which bytes are put in front, the one of lane 0 foremost
    bytes : In(lanes x 8)
    end : In(1), the tile ends here; not with bytes
    write, bits : Out, write a word; with ``done`` only its upper bytes are there
    done : Out(1), the tile has been written, the word that is written now included
    offset : Out, with ``done``: number of the tile's first byte in the word written last
    """

    def __init__(self, lanes: int = BLOCK):
        self._lanes, self._bits = lanes, exact_log2(lanes)
        self.latency = 5 + self._bits
        super().__init__({
            "put": In(lanes),
            "bytes": In(data.ArrayLayout(8, lanes)),
            "end": In(1),
            "write": Out(1),
            "bits": Out(8 * lanes),
            "done": Out(1),
            "offset": Out(self._bits),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ranks = prefix_counts(m, self.put)
        end = register_flag(m, self.end, 2)

        # Free bytes of the word that is being filled, less one: the only loop of the pipeline.
        free = Signal(self._bits, init=self._lanes - 1)
        difference = Signal(self._bits + 2)  # two's complement
        m.d.comb += difference.eq(free - ranks[-1])
        m.d.sync += free.eq(Mux(end, self._lanes - 1, difference[: self._bits]))
        full = register_flag(m, difference[-1])
        after = register(m, difference[: self._bits])
        before = register(m, free)
        end = register_flag(m, end)

        # Where in the word each byte belongs; below its lane's rank others are in front of it.
        lanes = [
            _Lane(byte, valid, register(m, (after + register(m, rank))[: self._bits]))
            for byte, valid, rank in zip(
                (register(m, byte, 4) for byte in self.bytes),
                (register_flag(m, flag, 4) for flag in self.put),
                ranks,
                strict=True,
            )
        ]
        cycles = 1 + self._bits
        for stage in range(self._bits):
            lanes = _exchange(m, lanes, stage)
        full = register_flag(m, full, cycles - 1)
        end = register_flag(m, end, cycles - 1)
        before = register(m, before, cycles - 1)
        keep = [register(m, k > before) for k in range(self._lanes)]
        empty = register(m, before == self._lanes - 1)
        hold = [register(m, (k > before) & ~full) for k in range(self._lanes)]
        full, end = register_flag(m, full), register_flag(m, end)
        offset = register(m, (before + 1)[: self._bits])

        held = Signal(data.ArrayLayout(8, self._lanes), reset_less=True)
        for k in range(self._lanes):
            byte = lanes[k].byte
            m.d.sync += self.bits[8 * k : 8 * (k + 1)].eq(Mux(keep[k], held[k], byte))
            # Bytes in places that are still free may be anything.
            m.d.sync += held[k].eq(Mux(hold[k], held[k], byte))
        m.d.sync += [
            self.write.eq(full | (end & ~empty)),
            self.done.eq(end),
            self.offset.eq(offset),
        ]
        return m


class _Lane:
    """A byte on its way through the network, and the place in the word that it goes to."""

    def __init__(self, byte: Signal, valid: Signal, place: Signal):
        self.byte, self.valid, self.place = byte, valid, place


def _exchange(m: Module, lanes: list[_Lane], stage: int) -> list[_Lane]:
    """Exchange the lanes whose numbers differ in bit ``stage`` where that bit of the place asks.

    The places of the valid lanes follow each other, so that, lowest bit first, two valid lanes
    never ask for the same one.
    """
    result = list(lanes)
    for low in range(len(lanes)):
        high = low | 1 << stage
        if high == low:
            continue
        a, b = lanes[low], lanes[high]
        cross = Signal(name=f"cross{stage}_{low}")
        m.d.comb += cross.eq(Mux(a.valid, a.place[stage], b.valid & ~b.place[stage]))
        for number, straight, other in ((low, a, b), (high, b, a)):
            result[number] = _Lane(
                register(m, Mux(cross, other.byte, straight.byte)),
                register_flag(m, Mux(cross, other.valid, straight.valid)),
                register(m, Mux(cross, other.place, straight.place)),
            )
    return result
