"""What the benches of the coders that take values position by position share."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from fmzip.format import POSITION_SIDE, ceil_div, round_up
from fmzip.reference.beats import pixel_order, to_beats
from fmzip_sim.tb import wire
from fmzip_sim.tb.bench import Bench
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.driver import Payload, Traffic


class PositionBench(Bench):
    """A codec of such a coder."""

    def cycles_per_beat(self, case: Case, seen: Traffic) -> float:
        at = self.beats_at(seen)
        return (at[-1] - at[0] + 1) / len(at)


class EncoderSide(PositionBench):
    """Values in, words out."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, ("data",), ("data", "last", "raw"), sample="take")

    def payloads(self, case: Case) -> list[Payload]:
        # Lanes without a value hold something else than the zero point: they must not count.
        return [(beat,) for beat in beats(case, self.lanes, case.config.zero_point & 0xFF ^ 0x5A)]

    def expected(self, case: Case) -> int:
        return len(wire.words(case.frame, self.lanes))

    def difference(self, case: Case, seen: Traffic) -> str | None:
        for k, (take, got) in enumerate(zip(takes(case, self.lanes), seen.sampled, strict=False)):
            if take != got:
                return f"frame '{case.name}': beat {k}: take is {got}, not {take}"
        return word_difference(case, self.lanes, seen.taken)

    def beats_at(self, seen: Traffic) -> list[int]:
        return seen.fed_at


class DecoderSide(PositionBench):
    """Words in, values out."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, ("data", "last", "raw"), ("data", "keep", "last"))

    def payloads(self, case: Case) -> list[Payload]:
        return [(w.data, w.last, w.raw) for w in wire.words(case.frame, self.lanes)]

    def expected(self, case: Case) -> int:
        return len(takes(case, self.lanes))

    def difference(self, case: Case, seen: Traffic) -> str | None:
        return beat_difference(case, self.lanes, seen.taken)

    def beats_at(self, seen: Traffic) -> list[int]:
        return seen.taken_at


def takes(case: Case, lanes: int) -> list[int]:
    """Values in each beat of a frame."""
    channels = case.config.channels
    pixel = [min(lanes, channels - k) for k in range(0, channels, lanes)]
    return pixel * len(pixel_order(case.config)[0])


def beats(case: Case, lanes: int, filler: int) -> list[int]:
    """Beats of the values to be coded; ``filler`` is in lanes without one."""
    data = to_beats(case.values, case.config, lanes)[:, :lanes]
    for beat, take in zip(data, takes(case, lanes), strict=True):
        beat[take:] = filler
    return [int.from_bytes(beat.tobytes(), "little") for beat in data]


def word_difference(case: Case, lanes: int, got: Sequence[Payload]) -> str | None:
    """The first word that is not the reference's, or None; data, last, raw of each."""
    words, digits = wire.words(case.frame, lanes), 2 * lanes
    for word, found in zip(words, got, strict=False):
        if found != (word.data, word.last, word.raw):
            data, last, raw = found
            at = f"frame '{case.name}': tile {word.tile}, word {word.number}"
            return (
                f"{at} is {data:0{digits}x}, last {last}, raw {raw}, not "
                f"{word.data:0{digits}x}, {word.last:d}, {word.raw:d}"
            )
    expected = len(words)
    return None if len(got) == expected else f"frame '{case.name}': {len(got)} of {expected} words"


def beat_difference(case: Case, lanes: int, got: Sequence[Payload]) -> str | None:
    """The first beat that does not carry the values of the decoded frame, or None.

    Parameters
    ----------
    got : data, keep, last of each beat; pixels that the map lacks may have any value
    """
    config = case.config
    side = POSITION_SIDE[config.transform]
    rows, cols, there = pixel_order(config)
    per_pixel = ceil_div(config.channels, lanes)
    sizes = [round_up(t.rows, side) * round_up(t.cols, side) for t in config.iter_tiles()]
    lasts = chain.from_iterable([*[0] * (size * per_pixel - 1), 1] for size in sizes)
    expected = to_beats(case.decoded, config, lanes)
    checks: Any = zip(expected, takes(case, lanes), lasts, got, strict=False)
    for k, (beat, take, end, (data, keep, last)) in enumerate(checks):
        pixel = k // per_pixel
        at = f"frame '{case.name}': row {rows[pixel]}, column {cols[pixel]}, beat {k % per_pixel}"
        value = int.from_bytes(beat[:take].tobytes(), "little")
        found = data & ((1 << 8 * take) - 1)
        if there[pixel] and found != value:
            return f"{at}: values {found:0{2 * take}x}, not {value:0{2 * take}x}"
        if (keep, last) != ((1 << take) - 1, end):
            return f"{at}: keep {keep:#x}, last {last}, not {take} values, {end}"
    if len(got) == len(expected):
        return None
    return f"frame '{case.name}': {len(got)} of {len(expected)} beats"
