"""Frames that are changed on purpose, with right CRCs where they are not what is tested."""

from zlib import crc32

import numpy as np

from fmzip.format import CRC_BYTES, FIELD, INDEX_OFFSET, FrameConfig, TileMode


def field(frame: bytes, name: str) -> int:
    f = FIELD[name]
    return int.from_bytes(frame[f.offset : f.offset + f.size], "little")


def put(frame: bytes, name: str, value: int) -> bytes:
    """The frame with one field changed; no CRC is."""
    f = FIELD[name]
    return frame[: f.offset] + value.to_bytes(f.size, "little") + frame[f.offset + f.size :]


def sealed(frame: bytes, head_bytes: int) -> bytes:
    """The frame with both CRCs made right again."""
    frame = put(frame, "tiles_crc", crc32(frame[head_bytes:]))
    body = frame[: head_bytes - CRC_BYTES]
    return body + crc32(body).to_bytes(CRC_BYTES, "little") + frame[head_bytes:]


def with_tiles(
    config: FrameConfig, tiles: list[bytes], modes: list[TileMode] | None = None
) -> bytes:
    """A frame of given tiles, padded to the burst, with a right index and right CRCs."""
    tiles = [t + bytes(-len(t) % config.burst_bytes) for t in tiles]
    modes = modes or [TileMode.CODED] * len(tiles)
    index, at = b"", 0
    for tile, mode in zip(tiles, modes, strict=True):
        index += (at | mode << 30).to_bytes(4, "little")
        at += len(tile) // config.burst_bytes
    head = config.static_head() + at.to_bytes(4, "little") + bytes(4) + index
    head = head.ljust(config.head_bytes, b"\0")
    return sealed(head + b"".join(tiles), config.head_bytes)


def entries(frame: bytes) -> list[int]:
    tiles = field(frame, "tiles")
    return np.frombuffer(frame, "<u4", tiles, INDEX_OFFSET).tolist()


def with_entries(frame: bytes, index: list[int]) -> bytes:
    stop = INDEX_OFFSET + 4 * len(index)
    return frame[:INDEX_OFFSET] + np.array(index, "<u4").tobytes() + frame[stop:]
