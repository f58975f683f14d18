"""The packets between host and board as tables: one definition for bridge and driver.

Both ways, a packet is a COBS frame (Cheshire and Baker, IEEE/ACM Trans. Networking 7(2), 1999)
that ends with a zero byte; its last four bytes are the CRC-32 of those before them. Packets that
are not intact are dropped. Standard library only.

    request   op, sequence, count + tag, address u32, count words if op is WRITE, CRC-32
    reply     op | REPLY, sequence, count + tag, count words if op is READ or HELLO, CRC-32

All integers are little-endian; a word has 32 bits; ``address`` is in bytes and a multiple of 4.
``count`` and ``tag`` share 16 bits, ``count`` in the lower ones; the tag is a part of the session's
number, and tells packets of this session from those that are left of a former one.
The rules of both sides are in ``docs/registers.md``.
"""

from enum import IntEnum

PROTOCOL_VERSION = 2
DELIMITER = 0  # ends a packet, and never occurs inside
REQUEST_HEAD = 8  # bytes before the data
REPLY_HEAD = 4
CRC_BYTES = 4
MAX_WORDS = 256  # words of one request
COUNT_BITS = 9
TAG_BITS = 7
REPLY = 0x80
NO_SESSION = 0  # instead of the op in a reply: the board knows no session, it was reset
COBS_RUN = 254  # longest run of bytes behind one COBS code
SEQUENCES = 256  # numbers of requests; half of them are ahead of the next one, half behind
# What the host may have unanswered, beside the limit by the board's FIFO: with the largest replies
# a quarter of what Linux holds for a port whose reader is late.
MAX_IN_FLIGHT = 16


class Op(IntEnum):
    """What a request asks for."""

    READ = 1
    WRITE = 2
    HELLO = 3  # begins a session; its number, which the host draws, stands in for the address


# Words of the reply to HELLO. These and the packets stay in all versions of the protocol.
HELLO = (
    ("version", 1, "version of the protocol"),
    ("session", 1, "the number that came with the request"),
    ("ident", 1, "digest of the tables of registers, link and frame format"),
    ("build", 1, "first 32 bits of the digest that names the build, 0 if it has none"),
    ("clock_hz", 1, "clock rate"),
    ("fifo_bytes", 1, "what the host may have outstanding, in bytes on the wire"),
    ("part", 4, "name of the memory part, ASCII, filled with zero bytes"),
)
HELLO_WORDS = sum(words for _, words, _ in HELLO)


def first_sequence(session: int) -> int:
    """Number of the first request of a session."""
    return session & SEQUENCES - 1


def tag_of(session: int) -> int:
    """The tag of all packets of a session."""
    return session >> 8 & (1 << TAG_BITS) - 1


def max_packet() -> int:
    """Bytes of the longest packet on the wire, with COBS codes and delimiter."""
    size = REQUEST_HEAD + 4 * MAX_WORDS + CRC_BYTES
    return size + size // COBS_RUN + 2
