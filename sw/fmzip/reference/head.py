"""The head of a frame: written from a configuration, parsed and checked from bytes."""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import (
    CONFIG_BYTES,
    CRC_BYTES,
    FIELD,
    HEAD,
    INDEX_OFFSET,
    INDEX_OFFSET_BITS,
    MAGIC,
    OPTION_ZERO_BITMAP,
    STATIC_BYTES,
    VERSION,
    Coder,
    Dtype,
    FrameConfig,
    TileMode,
    Transform,
)


@dataclass(frozen=True)
class Head:
    """A parsed head.

    Members
    -------
    config : FrameConfig
    offsets : int64 [tiles + 1], where each tile starts, in bytes behind the head; last, the total
    modes : uint8 [tiles], TileMode of each tile
    tiles_crc : CRC-32 of all tiles
    """

    config: FrameConfig
    offsets: np.ndarray
    modes: np.ndarray
    tiles_crc: int


def write_head(head: Head) -> bytes:
    """Bytes of the head: static part, totals, tile index, zeros and CRC-32."""
    config = head.config
    bursts = head.offsets // config.burst_bytes
    index = bursts[:-1] | head.modes.astype(np.int64) << INDEX_OFFSET_BITS
    body = (
        config.static_head()
        + int(bursts[-1]).to_bytes(FIELD["payload_bursts"].size, "little")
        + head.tiles_crc.to_bytes(FIELD["tiles_crc"].size, "little")
        + (b"" if config.gf2 else index.astype("<u4").tobytes())
    )
    body = body.ljust(config.head_bytes - CRC_BYTES, b"\0")
    return body + crc32(body).to_bytes(CRC_BYTES, "little")


def parse_head(data: bytes) -> Head:
    """Parse and check the head of a frame.

    Raises
    ------
    FormatError : foreign, truncated, corrupt, of another version, or with impossible content
    """
    magic = MAGIC.to_bytes(FIELD["magic"].size, "little")
    if data[: len(magic)] != magic[: len(data)]:
        raise FormatError(f"not a fmzip frame: it begins with {data[:4]!r}, not {magic!r}")
    if len(data) < INDEX_OFFSET:
        raise FormatError(f"truncated: {len(data)} bytes, a head has at least {INDEX_OFFSET}")
    raw = {f.name: int.from_bytes(data[f.offset : f.offset + f.size], "little") for f in HEAD}
    if raw["version"] != VERSION:
        raise FormatError(f"format version {raw['version']}; this program reads {VERSION}")
    config = _config(raw)
    if raw["tiles"] != config.tiles:
        raise FormatError(f"tiles is {raw['tiles']}, the shape has {config.tiles}")
    if len(data) < config.head_bytes:
        raise FormatError(f"truncated: {len(data)} bytes, the head alone has {config.head_bytes}")
    body = data[: config.head_bytes - CRC_BYTES]
    if crc32(body) != int.from_bytes(data[len(body) : config.head_bytes], "little"):
        raise FormatError("CRC-32 of the head does not match: the frame is corrupt")
    index_end = INDEX_OFFSET + config.index_bytes
    if any(body[index_end:]):
        raise FormatError("padding of the head is not zero")
    if config.gf2:
        if raw["payload_bursts"] != config.max_payload_bursts:
            raise FormatError(
                f"payload_bursts is {raw['payload_bursts']}, the shape has "
                f"{config.max_payload_bursts}"
            )
        size = config.max_payload_bursts * config.burst_bytes
        modes = np.array([TileMode.CODED], np.uint8)
        return Head(config, np.array([0, size]), modes, raw["tiles_crc"])
    index = np.frombuffer(body[INDEX_OFFSET:index_end], "<u4").astype(np.int64)
    starts = index & ((1 << INDEX_OFFSET_BITS) - 1)
    offsets = np.append(starts, raw["payload_bursts"]) * config.burst_bytes
    modes = (index >> INDEX_OFFSET_BITS).astype(np.uint8)
    if offsets[0] != 0 or (np.diff(offsets) <= 0).any():
        raise FormatError("tile index: offsets do not ascend from 0 to the payload size")
    if (modes > max(TileMode)).any():
        raise FormatError(f"tile index: unknown mode {modes.max()}")
    return Head(config, offsets, modes, raw["tiles_crc"])


def _config(raw: dict[str, int]) -> FrameConfig:
    given: dict[str, Any] = {
        name: raw[name]
        for name in ("channels", "height", "width", "tile_rows", "tile_cols", "burst_log2",
                     "zero_point", "keep", "step", "tables")
    }  # fmt: skip
    if raw["config_bytes"] != CONFIG_BYTES:
        raise FormatError(f"config_bytes is {raw['config_bytes']}, not {CONFIG_BYTES}")
    if raw["options"] & ~OPTION_ZERO_BITMAP:
        raise FormatError(f"unknown options {raw['options']:#x}")
    try:
        given["dtype"] = Dtype(raw["dtype"])
        given["transform"] = Transform(raw["transform"])
        given["coder"] = Coder(raw["coder"])
        if given["dtype"] == Dtype.INT8 and raw["zero_point"] > 127:
            given["zero_point"] -= 256
        if given["coder"] in (Coder.HUFFMAN, Coder.GF2):
            given["components"] = given.pop("step")
        given["zero_bitmap"] = bool(raw["options"] & OPTION_ZERO_BITMAP)
        return FrameConfig(**given)
    except ValueError as error:
        raise FormatError(f"head: {error}") from None


def split_frame(frame: bytes) -> tuple[Head, bytes]:
    """Head and tiles of one whole frame, both of which are intact.

    Raises
    ------
    FormatError : see ``parse_head``; truncated tiles, trailing bytes, tiles that are corrupt
    """
    head = parse_head(frame)
    size = frame_bytes(head)
    if len(frame) != size:
        what = "truncated" if len(frame) < size else "trailing bytes"
        raise FormatError(f"{what}: {len(frame)} bytes, the head says {size}")
    tiles = frame[head.config.head_bytes :]
    if crc32(tiles) != head.tiles_crc:
        raise FormatError("CRC-32 of the tiles does not match: the frame is corrupt")
    return head, tiles


def frame_bytes(head: Head) -> int:
    """Size of the whole frame in bytes."""
    return head.config.head_bytes + int(head.offsets[-1])


assert FIELD["payload_bursts"].size + FIELD["tiles_crc"].size == INDEX_OFFSET - STATIC_BYTES
