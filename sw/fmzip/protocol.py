"""The packets between host and board as tables: one definition for bridge and driver.

Both ways, a packet is a COBS frame (Cheshire and Baker, IEEE/ACM Trans. Networking 7(2), 1999)
that ends with a zero byte; its last four bytes are the CRC-32 of those before them. The host
sends a request, the board answers it with one reply; requests that are not intact are dropped
without an answer, and then the host's deadline ends the wait. Standard library only.

    request   op, sequence, count u16, address u32, count words if op is WRITE, CRC-32
    reply     op | REPLY, sequence, count u16, count words if op is READ, CRC-32

All integers are little-endian; a word has 32 bits; ``address`` is in bytes and a multiple of 4.
"""

from enum import IntEnum

PROTOCOL_VERSION = 1
DELIMITER = 0  # ends a packet, and never occurs inside
REQUEST_HEAD = 8  # bytes before the data
REPLY_HEAD = 4
CRC_BYTES = 4
MAX_WORDS = 256  # words of one request
REPLY = 0x80
COBS_RUN = 254  # longest run of bytes behind one COBS code


class Op(IntEnum):
    """What a request asks for."""

    READ = 1
    WRITE = 2


def max_packet() -> int:
    """Bytes of the longest packet on the wire, with COBS codes and delimiter."""
    size = REQUEST_HEAD + 4 * MAX_WORDS + CRC_BYTES
    return size + size // COBS_RUN + 2
