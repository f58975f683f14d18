"""What a result says, in sentences, with nothing left out that a reader would hold against it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fmzip.report.memories import Memory
from fmzip.report.result import Coded, Result
from fmzip.report.text import SPACE, interval, joules, listed, number, percent, shown

DROP_LIMIT = 1.0  # points of top-1 that a codec may cost and still be called usable here
RAW_BITS = 8.0


@dataclass(frozen=True)
class Headline:
    """Members
    -------
    sentence : the answer
    notes : what is to be known with it
    best : the codec that it is about, None where no codec was usable
    memory : the memory that it is about
    """

    sentence: str
    notes: tuple[str, ...]
    best: Coded | None
    memory: Memory | None


def headline(result: Result) -> Headline:
    """The codec with the fewest bits of those that keep top-1 within ``DROP_LIMIT``."""
    real = [coded for coded in result.codecs if not coded.bound]
    usable = [c for c in real if c.drop is not None and c.drop <= DROP_LIMIT and c.bits < RAW_BITS]
    best = min(usable, key=_order, default=None)
    memory = memory_of(best) if best else None
    return Headline(
        _sentence(result, real, best, memory), tuple(_notes(result, best)), best, memory
    )


def memory_of(coded: Coded) -> Memory | None:
    """The memory to speak of first: one whose values were all read in its datasheet, if any."""
    return min(coded.memories, key=lambda m: not m.verified, default=None)


def representatives(codecs: Sequence[Coded]) -> list[Coded]:
    """One of each family: fewest bits within the limit, or the smallest drop if none is."""
    chosen = []
    for family in dict.fromkeys(coded.family for coded in codecs):
        members = [coded for coded in codecs if coded.family == family]
        usable = [c for c in members if c.drop is not None and c.drop <= DROP_LIMIT]
        chosen.append(min(usable, key=_order) if usable else min(members, key=_loss))
    return chosen


def _order(coded: Coded) -> tuple[float, float]:
    return coded.bits, coded.drop or 0.0


def _loss(coded: Coded) -> tuple[bool, float, float]:
    return coded.drop is None, coded.drop or 0.0, coded.bits


def _sentence(
    result: Result, real: Sequence[Coded], best: Coded | None, memory: Memory | None
) -> str:
    network = shown(result.network)
    if best is None:
        text = (
            f"No codec here makes the maps of {network} smaller and keeps top-1 within "
            f"{DROP_LIMIT:g} point."
        )
        least = min(real, key=_loss, default=None)
        if least is not None and least.drop is not None:
            text += (
                f" The smallest drop is that of {shown(least.name)}: {_drop(result, least)} at "
                f"{number(least.bits)} bits per value."
            )
        return text
    how = " without loss" if best.lossless else ""
    text = (
        f"{shown(best.name)} stores the feature maps of {network}{how} in {number(best.bits)} bits "
        f"per value instead of 8"
    )
    if memory is not None:
        saved = memory.incremental.saved
        verb = "saves" if saved >= 0 else "costs another"
        text += (
            f" and {verb} {percent(abs(saved))} of the energy of that traffic on {memory.kind} "
            f"{shown(memory.part)} ({memory.label})"
        )
    return f"{text}; {_drop(result, best)}."


def _drop(result: Result, coded: Coded) -> str:
    if coded.lossless:
        return f"top-1 stays at {number(result.baseline_number('int8_top1'))}{SPACE}%"
    if coded.drop is None:
        return "what that does to top-1 is unknown"
    way = "drops" if coded.drop > 0 else "rises"
    text = f"top-1 {way} by {number(abs(coded.drop))} points"
    if number(coded.drop) == "0.00":
        text = "top-1 does not change"
    inside = (
        [f"95{SPACE}% interval of the drop {interval(coded.interval)}"] if coded.interval else []
    )
    inside += [f"{result.pictures:,} pictures"] if result.pictures else []
    return f"{text} ({'; '.join(inside)})" if inside else text


def _notes(result: Result, best: Coded | None) -> Iterator[str]:
    real = [coded for coded in result.codecs if not coded.bound]
    lossless = min((c for c in real if c.lossless), key=_order, default=None)
    if result.value("stand_in"):
        yield "The network is a stand-in: its figures say little about large networks."
    if result.pictures and 100 / result.pictures >= DROP_LIMIT / 2:
        yield (
            f"Only {result.pictures} pictures: one of them is {number(100 / result.pictures)} "
            f"points of top-1."
        )
    if best is not None and best.cycles is None:
        yield (
            f"{shown(best.name)} has no gateware here: what it would cost in cycles, area and "
            f"energy of its own is not in these figures."
        )
    if best is not None and best.lossy and _contains_zero(best):
        yield (
            f"The interval of {shown(best.name)}'s drop contains 0: so few pictures do not tell "
            f"it from no drop at all."
        )
    if best is not None:
        yield from _costs_more(best)
    if lossless is not None:
        yield from _beaten(real, lossless)
    yield from _beside_plain(real)
    yield from _too_lossy(result, real)
    yield from _above_raw(real)
    yield from _bounds(result.codecs, lossless)


def _costs_more(best: Coded) -> Iterator[str]:
    """Memories on which a codec takes more energy than it saves, in some way of counting."""
    ways: dict[str, list[str]] = {}
    for memory in best.memories:
        for way, figure in memory.figures.items():
            if figure.saved < 0:
                ways.setdefault(way, []).append(shown(memory.part))
    for way, parts in ways.items():
        yield (
            f"Energy {way}: {shown(best.name)} takes more than it saves on {listed(parts)} "
            f"(modelled)."
        )


def _contains_zero(coded: Coded) -> bool:
    ends = coded.interval
    return ends is not None and ends[0] <= 0 <= ends[1] and ends[0] < ends[1]


def _beaten(real: Sequence[Coded], lossless: Coded) -> Iterator[str]:
    """Lossy families of which no usable member is below lossless coding."""
    for family, members in _families([coded for coded in real if coded.kind == "codec"]):
        usable = [c for c in members if c.lossy and c.drop is not None and c.drop <= DROP_LIMIT]
        least = min(usable, key=_order, default=None)
        if least is not None and least.bits >= lossless.bits:
            setting = "" if len(members) == 1 else f" at its smallest within {DROP_LIMIT:g} point"
            yield (
                f"{shown(family)}, which is lossy, is beaten by {shown(lossless.name)}, which is "
                f"not: {number(least.bits)} bits per value{setting}, against "
                f"{number(lossless.bits)}."
            )


def _beside_plain(real: Sequence[Coded]) -> Iterator[str]:
    """Lossy codecs that store more, and lose more, than coarser integers without any codec."""
    for plain in (coded for coded in real if coded.kind == "requantise"):
        worse = [
            shown(coded.name)
            for coded in real
            if coded.kind == "codec" and coded.lossy and None not in (coded.drop, plain.drop)
            and coded.bits >= plain.bits and (coded.drop or 0.0) >= (plain.drop or 0.0)
        ]  # fmt: skip
        if worse:
            yield (
                f"Plain requantisation, {shown(plain.name)}, needs {number(plain.bits)} bits and "
                f"drops {number(plain.drop)} points: no more, and no less accurate, than "
                f"{listed(worse)}."
            )


def _too_lossy(result: Result, real: Sequence[Coded]) -> Iterator[str]:
    for family, members in _families([coded for coded in real if coded.lossy]):
        known = [coded for coded in members if coded.drop is not None]
        least = min(known, key=_loss, default=None)
        if least is not None and least.drop is not None and least.drop > DROP_LIMIT:
            yield (
                f"{shown(family)} costs more than {DROP_LIMIT:g} point in every setting here; at "
                f"{number(least.bits)} bits per value, {_drop(result, least)}."
            )


def _above_raw(real: Sequence[Coded]) -> Iterator[str]:
    larger = [shown(coded.name) for coded in real if coded.bits >= RAW_BITS]
    if larger:
        yield f"{listed(larger)} makes the maps no smaller than they are uncompressed."


def _bounds(codecs: Sequence[Coded], lossless: Coded | None) -> Iterator[str]:
    for bound in (coded for coded in codecs if coded.bound):
        text = (
            f"{shown(bound.name)}, {number(bound.bits)} bits per value, is a bound of codes that "
            f"take each value alone, not a codec: it has no tables, heads or padding, and is in no "
            f"comparison here."
        )
        if lossless is not None and lossless.bits < bound.bits:
            text += f" {shown(lossless.name)} is below it since it uses what stands beside a value."
        yield text


def _families(codecs: Sequence[Coded]) -> Iterator[tuple[str, list[Coded]]]:
    for family in dict.fromkeys(coded.family for coded in codecs):
        yield family, [coded for coded in codecs if coded.family == family]


def energy_line(best: Coded, memory: Memory) -> str:
    """The energies behind the headline's percentage."""
    figure = memory.incremental
    of = {None: "", 1: " for a picture"}.get(best.frames, f" for {best.frames} pictures")
    return (
        f"On {shown(memory.part)}: {joules(figure.raw_pj)} uncompressed, "
        f"{joules(figure.coded_pj)} with {shown(best.name)}{of}"
    )
