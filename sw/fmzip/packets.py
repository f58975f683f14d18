"""Packets of the link: requests to bytes, bytes to replies. No I/O, no clock, no state but a part.

The tables are in ``fmzip.protocol``; who sends what, and when, is the business of ``fmzip.link``.
"""

from dataclasses import dataclass
from zlib import crc32

from fmzip.protocol import (
    COBS_RUN,
    COUNT_BITS,
    CRC_BYTES,
    DELIMITER,
    HELLO,
    HELLO_WORDS,
    MAX_WORDS,
    NO_SESSION,
    REPLY,
    REPLY_HEAD,
    REQUEST_HEAD,
    SEQUENCES,
    Op,
    max_packet,
)


def cobs_encode(data: bytes) -> bytes:
    """``data`` without zero bytes, not ended. (Cheshire and Baker 1999)"""
    out = bytearray()
    for run in data.split(b"\0"):
        while len(run) >= COBS_RUN:
            out += bytes((COBS_RUN + 1,)) + run[:COBS_RUN]
            run = run[COBS_RUN:]
        out += bytes((len(run) + 1,)) + run
    return bytes(out)


def cobs_decode(data: bytes) -> bytes | None:
    """The inverse of ``cobs_encode``; None if ``data`` has a zero byte or ends within a run."""
    if 0 in data:
        return None
    out, place = bytearray(), 0
    while place < len(data):
        code = data[place]
        run = data[place + 1 : place + code]
        if len(run) != code - 1:
            return None
        out += run
        place += code
        if code != COBS_RUN + 1 and place < len(data):
            out.append(0)
    return bytes(out)


@dataclass(frozen=True)
class Reply:
    """An intact reply: which request it answers, and the words that were read."""

    op: int  # NO_SESSION, too
    sequence: int
    count: int
    data: bytes
    tag: int = 0


@dataclass(frozen=True)
class Hello:
    """What a board says of itself; the members are those of ``fmzip.protocol.HELLO``."""

    version: int
    session: int
    ident: int
    build: int
    clock_hz: int
    fifo_bytes: int
    part: str

    @staticmethod
    def parse(data: bytes) -> "Hello":
        """From the words of a reply to HELLO."""
        values, place = {}, 0
        for name, words, _ in HELLO:
            values[name] = data[place : place + 4 * words]
            place += 4 * words
        part = values.pop("part").rstrip(b"\0").decode("ascii", errors="replace")
        return Hello(**{n: int.from_bytes(v, "little") for n, v in values.items()}, part=part)


def request(
    op: Op, sequence: int, address: int, count: int, data: bytes = b"", tag: int = 0
) -> bytes:
    """Bytes of a request on the wire.

    Parameters
    ----------
    sequence : 0 to 255, comes back with the reply
    address : in bytes, a multiple of 4; of HELLO, the number of the session
    count : words, 0 to ``MAX_WORDS``
    data : 4 * count bytes for a write, none for others
    tag : of the session

    Raises
    ------
    ValueError : a parameter is outside its range
    """
    if not 0 <= sequence < SEQUENCES:
        raise ValueError(f"sequence must be 0 to {SEQUENCES - 1}, not {sequence}")
    check(op, address, count, data)
    shared = count | tag << COUNT_BITS
    head = bytes((op, sequence)) + shared.to_bytes(2, "little") + address.to_bytes(4, "little")
    assert len(head) == REQUEST_HEAD
    body = head + data
    body += crc32(body).to_bytes(CRC_BYTES, "little")
    return cobs_encode(body) + bytes((DELIMITER,))


def check(op: Op, address: int, count: int, data: bytes) -> None:
    """ValueError if there is no such request."""
    if not 0 <= count <= MAX_WORDS:
        raise ValueError(f"count must be 0 to {MAX_WORDS}, not {count}")
    if op != Op.HELLO:
        check_range(address, count)
    if len(data) != (4 * count if op == Op.WRITE else 0):
        raise ValueError(f"{len(data)} bytes do not fit {op.name} of {count} words")


def check_range(address: int, count: int) -> None:
    """ValueError if there are no such words, any number of them."""
    if address % 4 or not 0 <= address <= (1 << 32) - 4 * max(count, 1):
        raise ValueError(
            f"address must be a multiple of 4, and {count} words end below 2**32, not {address:#x}"
        )


class Receiver:
    """Cuts what arrives into replies; everything that is not an intact reply is counted, dropped.

    Members
    -------
    dropped : packets that were not intact
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._part = bytearray()

    def feed(self, data: bytes) -> list[Reply]:
        """Bytes as they arrive, in pieces of any size; the replies that are complete with them."""
        *packets, rest = (bytes(self._part) + data).split(bytes((DELIMITER,)))
        # A line that never sends a delimiter must not fill the memory.
        self._part = bytearray(rest[-2 * max_packet() :])
        replies = []
        for packet in packets:
            if not packet:
                continue
            reply = _parse(packet)
            if reply is None:
                self.dropped += 1
            else:
                replies.append(reply)
        return replies


def _parse(packet: bytes) -> Reply | None:
    body = cobs_decode(packet)
    if body is None or len(body) < REPLY_HEAD + CRC_BYTES:
        return None
    data, crc = body[:-CRC_BYTES], int.from_bytes(body[-CRC_BYTES:], "little")
    shared = int.from_bytes(data[2:4], "little")
    count, tag = shared % (1 << COUNT_BITS), shared >> COUNT_BITS
    op = data[0] ^ REPLY
    words = count if op in (Op.READ, Op.HELLO) else 0
    if crc32(data) != crc or len(data) != REPLY_HEAD + 4 * words:
        return None
    known = {NO_SESSION: 0, Op.HELLO: HELLO_WORDS, Op.READ: count, Op.WRITE: count}
    if known.get(op) != count:
        return None
    return Reply(op, data[1], count, data[REPLY_HEAD:], tag)
