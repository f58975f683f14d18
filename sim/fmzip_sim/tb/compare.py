"""The first difference between what came and what the reference says, by tile, block and lane."""

from collections.abc import Sequence
from typing import NamedTuple

from fmzip.format import BLOCK, SECTION_BYTES, Coder, FrameConfig, Tile, ceil_div, round_up
from fmzip_sim.tb import wire
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.driver import Payload


class Place(NamedTuple):
    """What a bit of a tile belongs to; block and lane are None in widths (lane) and padding."""

    section: str
    block: int | None = None
    lane: int | None = None

    def __str__(self) -> str:
        block = "no block" if self.block is None else f"block {self.block}"
        lane = "all lanes" if self.lane is None else f"lane {self.lane}"
        return f"{block}, {lane if self.block is not None else 'no lane'} ({self.section})"


def locate(data: bytes, raw: bool, tile: Tile, config: FrameConfig, bit: int) -> Place:
    """Where a bit of a tile belongs.

    Parameters
    ----------
    data : the tile as the reference has it
    bit : counted from the lowest bit of the first byte
    """
    if raw:
        pixel, channel = divmod(bit // 8, config.channels)
        if pixel >= tile.rows * tile.cols:
            return Place("padding")
        block, lane = divmod(channel, BLOCK)
        return Place("raw", pixel * config.blocks_per_pixel + block, lane)
    blocks = tile.rows * tile.cols * config.blocks_per_pixel
    if bit < 4 * blocks:
        return Place("widths", bit // 4)
    number = int.from_bytes(data, "little")
    widths = [number >> (4 * k) & 15 for k in range(blocks)]
    kept = [k for k in range(BLOCK) if config.keep >> k & 1]
    zero_bits = BLOCK * config.zero_bitmap
    flag_bits = zero_bits + len(kept) * (config.coder == Coder.BITMAP)
    start = 8 * round_up(ceil_div(blocks, 2), SECTION_BYTES)
    coded = [k for k in range(blocks) if widths[k]]
    if start <= bit < start + flag_bits * len(coded):
        block, flag = divmod(bit - start, flag_bits)
        if flag < zero_bits:
            return Place("zero bitmap", coded[block], flag)
        return Place("flags", coded[block], kept[flag - zero_bits])
    at = start + round_up(flag_bits * len(coded), 8 * SECTION_BYTES)
    for order, block in enumerate(coded):
        lanes = kept
        if config.coder == Coder.BITMAP:
            flags = number >> (start + order * flag_bits + zero_bits)
            lanes = [lane for k, lane in enumerate(kept) if flags >> k & 1]
        size = widths[block] * len(lanes)
        if at <= bit < at + size:
            return Place("values", block, lanes[(bit - at) // widths[block]])
        at += size
    return Place("padding")


def word_difference(case: Case, lanes: int, got: Sequence[Payload]) -> str | None:
    """The first word that is not the reference's, or None.

    Parameters
    ----------
    got : data, last, raw of each word
    """
    tiles, places = wire.tiles(case.frame), list(case.config.iter_tiles())

    def at(word: wire.Word, bit: int) -> str:
        data, raw = tiles[word.tile]
        place = locate(data, raw, places[word.tile], case.config, 8 * lanes * word.number + bit)
        return f"frame '{case.name}': tile {word.tile}, {place}: word {word.number}"

    expected = wire.words(case.frame, lanes)
    for word, (data, last, raw) in zip(expected, got, strict=False):
        if wrong := data ^ word.data:
            bit, digits = (wrong & -wrong).bit_length() - 1, 2 * lanes
            return f"{at(word, bit)} is {data:0{digits}x}, not {word.data:0{digits}x}"
        if (last, raw) != (word.last, word.raw):
            return f"{at(word, 0)} has last {last}, raw {raw}, not {word.last:d}, {word.raw:d}"
    if len(got) < len(expected):
        return f"{at(expected[len(got)], 0)} never came"
    return None


def beat_difference(case: Case, lanes: int, got: Sequence[Payload]) -> str | None:
    """The first beat that does not carry the values of the decoded frame, or None.

    Parameters
    ----------
    got : data, keep, last of each beat; lanes that are not kept do not count
    """
    expected = wire.beats(case.decoded, case.config, lanes)
    for beat, (data, keep, last) in zip(expected, got, strict=False):
        at = f"frame '{case.name}': tile {beat.tile}, block {beat.block}"
        for k, value in enumerate(beat.values):
            if (found := data >> (8 * k) & 0xFF) != value:
                return f"{at}, lane {beat.lane + k}: byte {found}, not {value}"
        if keep != (1 << len(beat.values)) - 1:
            return f"{at}, lane {beat.lane} on: keep {keep:#x}, not {len(beat.values)} lanes"
        if last != beat.last:
            return f"{at}, lane {beat.lane} on: last {last}, not {beat.last:d}"
    if len(got) < len(expected):
        beat = expected[len(got)]
        return (
            f"frame '{case.name}': tile {beat.tile}, block {beat.block}, "
            f"lane {beat.lane} on: never came"
        )
    return None


def take_difference(case: Case, lanes: int, got: Sequence[int]) -> str | None:
    """The first beat for which ``take`` does not say how many lanes are values, or None."""
    for beat, take in zip(wire.beats(case.values, case.config, lanes), got, strict=False):
        if take != len(beat.values):
            return (
                f"frame '{case.name}': tile {beat.tile}, block {beat.block}, "
                f"lane {beat.lane} on: take is {take}, not {len(beat.values)}"
            )
    return None
