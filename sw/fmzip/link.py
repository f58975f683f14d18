"""The host's side of the link: requests in, bytes out; bytes in, events out. No I/O, no waiting.

Time is an argument, in seconds, from any clock that only goes forward. The rules are those of
``docs/registers.md``: several requests at once, as far as the board's FIFO holds them; what is not
answered is sent again, from the oldest request on; replies count only in the order of their
requests, so that what was read can never be older than what was read before it.
"""

from collections import deque
from dataclasses import dataclass

from fmzip.packets import Hello, Receiver, Reply, check, request
from fmzip.protocol import MAX_IN_FLIGHT, NO_SESSION, SEQUENCES, Op, first_sequence, tag_of

RETRY_S = 0.25  # without progress: sent again; longer than the largest packet on a slow line
_RETRY_MAX_S = 0.5
DEADLINE_S = 2.0  # without progress: given up


@dataclass(frozen=True)
class Welcome:
    """The session has begun; what the board says of itself."""

    hello: Hello


@dataclass(frozen=True)
class Done:
    """A request was executed: its number, as ``submit`` gave it, and the words that were read."""

    number: int
    data: bytes


@dataclass(frozen=True)
class Lost:
    """The session is over; no other event comes. One clause that says why."""

    reason: str


Event = Welcome | Done | Lost


@dataclass
class _Request:
    number: int
    op: Op
    address: int
    count: int
    data: bytes
    sequence: int = 0
    wire: bytes = b""


class Link:
    """One session with a board.

    Call ``send`` after ``submit``, ``feed``, and at the time ``wake_at``; ``feed`` whenever bytes
    arrive, and, with none, at the time ``wake_at``.

    Parameters
    ----------
    session : 32-bit number, drawn at random so that no former session had the same
    now : time at which the session begins
    deadline_s : time without progress until the session is given up
    pace : how much slower than a serial port the line is; a factor on all times

    Members
    -------
    busy : requests are neither done nor lost, or the session has not begun
    repeated : packets that were sent again
    dropped : packets that arrived damaged
    """

    def __init__(self, session: int, now: float, deadline_s: float = DEADLINE_S, pace: float = 1.0):
        self.repeated = 0
        self._deadline_s = deadline_s * pace
        self._pace = pace
        self._session = session
        self._receiver = Receiver()
        self._hello: Hello | None = None
        self._lost = False
        self._numbers = 0
        self._sequence, self._tag = first_sequence(session), tag_of(session)
        self._waiting: deque[_Request] = deque()
        self._sent: deque[_Request] = deque()  # oldest first
        greeting = _Request(-1, Op.HELLO, session, 0, b"", self._sequence)
        greeting.wire = request(Op.HELLO, self._sequence, session, 0, tag=self._tag)
        self._sent.append(greeting)
        # What a former user left on the line is ended by the delimiter, and dropped.
        self._out = bytearray(b"\0" + greeting.wire)
        # Set anew with every progress:
        self._retry_s = RETRY_S * pace  # until what is not answered is sent again
        self._retry_at = now + self._retry_s
        self._give_up_at = now + self._deadline_s
        self._hurried = False  # it was sent again because its answer is missing

    @property
    def busy(self) -> bool:
        return bool(self._sent or self._waiting) and not self._lost

    @property
    def dropped(self) -> int:
        return self._receiver.dropped

    @property
    def wake_at(self) -> float:
        """Time at which something must be done although nothing arrives; infinite if never."""
        if not self._sent or self._lost:
            return float("inf")
        return min(self._retry_at, self._give_up_at)

    def submit(self, op: Op, address: int, count: int, data: bytes = b"") -> int:
        """Queue a READ or WRITE; its number. The parameters are those of ``packets.request``.

        Raises
        ------
        ValueError : a parameter is outside its range
        """
        check(op, address, count, data)
        self._waiting.append(_Request(self._numbers, op, address, count, data))
        self._numbers += 1
        return self._numbers - 1

    def send(self, now: float) -> bytes:
        """Bytes for the line."""
        while self._waiting and not self._lost and self._may_send(self._waiting[0]):
            if not self._sent:
                self._progress(now)
            self._sent.append(self._waiting.popleft())
            self._out += self._sent[-1].wire
        out, self._out = bytes(self._out), bytearray()
        return out

    def _may_send(self, new: _Request) -> bool:
        if self._hello is None or len(self._sent) >= MAX_IN_FLIGHT:
            return False
        # A read that is sent again must not see a write that came behind it.
        if new.op == Op.WRITE and any(r.op == Op.READ for r in self._sent):
            return False
        if not new.wire:
            new.sequence, self._sequence = self._sequence, (self._sequence + 1) % SEQUENCES
            new.wire = request(new.op, new.sequence, new.address, new.count, new.data, self._tag)
        outstanding = sum(len(r.wire) for r in self._sent)
        return not self._sent or outstanding + len(new.wire) <= self._hello.fifo_bytes

    def feed(self, data: bytes, now: float) -> list[Event]:
        """Bytes from the line, in pieces of any size, or none; what has happened."""
        events: list[Event] = []
        for reply in self._receiver.feed(data):
            if not self._lost:
                events += self._take(reply, now)
        if self._sent and not self._lost and now >= self._give_up_at:
            events += self._lose(f"no answer within {self._deadline_s:g} s")
        elif self._sent and not self._lost and now >= self._retry_at:
            self._retry_s = min(2 * self._retry_s, _RETRY_MAX_S * self._pace)
            self._go_back(now)
        return events

    def _take(self, reply: Reply, now: float) -> list[Event]:
        if not self._sent or reply.tag != self._tag:
            return []
        if self._hello is None:
            return self._greet(reply, now)
        place = (reply.sequence - self._sent[0].sequence) % SEQUENCES
        if place >= len(self._sent):
            return []  # an answer to what was sent again without need
        if reply.op == NO_SESSION:
            return self._lose("the board was reset")
        asked = self._sent[place]
        if (reply.op, reply.count) != (asked.op, asked.count):
            return []
        if any(self._sent[k].op == Op.READ for k in range(place)):
            # Its data is missing, and what was read behind it counts only behind it.
            if not self._hurried:
                self._hurried = True
                self._go_back(now)
            return []
        # An answer stands for all writes before it: the board executes in order.
        done = [self._sent.popleft() for _ in range(place + 1)]
        self._progress(now)
        return [Done(r.number, reply.data if r is asked else b"") for r in done]

    def _greet(self, reply: Reply, now: float) -> list[Event]:
        if reply.op != Op.HELLO:
            return []
        hello = Hello.parse(reply.data)
        if hello.session != self._session:
            return []
        self._hello = hello
        self._sent.clear()
        self._progress(now)
        return [Welcome(hello)]

    def _progress(self, now: float) -> None:
        self._retry_s = RETRY_S * self._pace
        self._retry_at = now + self._retry_s
        self._give_up_at = now + self._deadline_s
        self._hurried = False

    def _go_back(self, now: float) -> None:
        """Send all again that is not answered."""
        self._out = bytearray(b"\0")  # ends what is left of a packet on the line
        for again in self._sent:
            self._out += again.wire
        self.repeated += len(self._sent)
        self._retry_at = now + self._retry_s

    def _lose(self, reason: str) -> list[Event]:
        self._lost = True
        self._sent.clear()
        self._waiting.clear()
        self._out.clear()
        return [Lost(reason)]
