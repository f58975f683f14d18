"""The board's side of packets, written apart from the driver, for tests of the link."""

from dataclasses import dataclass, replace
from zlib import crc32

from fmzip.link import Link, Welcome
from fmzip.packets import Reply, cobs_decode, cobs_encode
from fmzip.protocol import COUNT_BITS, HELLO_WORDS, PROTOCOL_VERSION, REPLY, Op

# Requests and replies ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """A request as the board sees it; ``size`` is that on the wire."""

    op: int
    sequence: int
    count: int
    tag: int
    address: int
    data: bytes
    size: int

    def reply(self, data: bytes = b"") -> Reply:
        """The answer."""
        return Reply(self.op, self.sequence, self.count, data, self.tag)


def requests_in(wire: bytes) -> list[Request]:
    """All requests in bytes of the host; a packet that is not intact is an error."""
    *packets, rest = wire.split(b"\0")
    assert not rest
    found = []
    for packet in filter(None, packets):
        body = cobs_decode(packet)
        assert body is not None
        assert crc32(body[:-4]).to_bytes(4, "little") == body[-4:]
        shared = int.from_bytes(body[2:4], "little")
        count, tag = shared % (1 << COUNT_BITS), shared >> COUNT_BITS
        address, data = int.from_bytes(body[4:8], "little"), body[8:-4]
        assert len(data) == (4 * count if body[0] == Op.WRITE else 0)
        found.append(Request(body[0], body[1], count, tag, address, data, len(packet) + 1))
    return found


def wire_of(reply: Reply) -> bytes:
    """A packet of the board; nothing is checked, so that impossible ones can be made."""
    shared = reply.count | reply.tag << COUNT_BITS
    body = bytes((reply.op | REPLY, reply.sequence)) + shared.to_bytes(2, "little") + reply.data
    return cobs_encode(body + crc32(body).to_bytes(4, "little")) + b"\0"


def reply_to(request: Request, data: bytes = b"", **changes: int) -> bytes:
    """The answer on the wire, with members of the reply changed."""
    if changes.get("op") == 0:
        changes["count"] = 0
    return wire_of(replace(request.reply(data), **changes))


def welcome(session: int, fifo: int) -> bytes:
    """The answer to a greeting."""
    words = (PROTOCOL_VERSION, session, 1, 2, 3, fifo, 0, 0, 0, 0)
    data = b"".join(w.to_bytes(4, "little") for w in words)
    return wire_of(Reply(Op.HELLO, session % 256, HELLO_WORDS, data, session // 256 % 128))


def greeted(session: int, fifo: int, now: float = 0.0) -> Link:
    """A link whose session has begun."""
    link = Link(session, now)
    assert [r.op for r in requests_in(link.send(now))] == [Op.HELLO]
    (event,) = link.feed(welcome(session, fifo), now)
    assert isinstance(event, Welcome)
    assert not link.busy
    return link
