"""A faulty line between the driver's link and the compiled bridge, in simulated time.

A plan draws, from one seed, what the host does and what happens to the bytes both ways: flips,
drops, doubled and cut pieces, garbage, stalls, and resets of the board. What must come out is known
without the link: what a read gives, and which writes the board executes, in which order.
"""

import random
from collections import deque
from dataclasses import dataclass

from fmzip.link import DEADLINE_S, Done, Event, Link, Lost, Welcome
from fmzip.protocol import MAX_WORDS, Op
from fmzip_sim.linkboard import WORDS, LinkBoard

SLICE_S = 1e-3
SLICE_BYTES = 300  # of 3 Mbaud
KINDS = ("flip", "drop", "double", "cut", "garbage", "stall", "reset")
# Faults that a session survives for certain, be they where they may: each costs at most two of the
# host's five attempts, for an answer that lost its end takes the next one with it.
HARMLESS = 2
_LONG_S = DEADLINE_S - 1.0  # a stall of this length may end a session


@dataclass(frozen=True)
class Fault:
    """Something that happens to a direction, once so many of its bytes have passed."""

    place: int
    kind: str
    size: int  # of what is dropped, doubled or inserted, in bytes
    stall_s: float
    seed: int


class Line:
    """One direction of the line."""

    def __init__(self, faults: list[Fault]):
        self._faults = deque(sorted(faults, key=lambda f: f.place))
        self._queue = bytearray()
        self._passed = 0
        self._recent = bytearray()
        self.held_until = 0.0
        self.happened: list[Fault] = []

    @property
    def empty(self) -> bool:
        return not self._queue

    def push(self, data: bytes) -> None:
        """Bytes into the line."""
        self._queue += data

    def take(self, now: float) -> list[bytes | None]:
        """What comes out within a slice of time; None is a reset."""
        out: list[bytes | None] = []
        left = SLICE_BYTES
        while left and self._queue and now >= self.held_until:
            fault = self._faults[0] if self._faults else None
            count = min(left, len(self._queue))
            if fault is not None and fault.place < self._passed + count:
                count = max(0, fault.place - self._passed)
            piece = bytes(self._queue[:count])
            del self._queue[:count]
            self._recent = (self._recent + piece)[-4096:]
            self._passed += count
            left -= count
            out.append(piece)
            if fault is not None and fault.place <= self._passed and self._queue:
                self._faults.popleft()
                self.happened.append(fault)
                out += self._apply(fault, now)
        return out

    def forget(self) -> None:
        """What has passed is not doubled any more.

        A line that says again all that it said before a reset of the board, greeting included,
        cannot be told from a host that works.
        """
        self._recent.clear()

    def _apply(self, fault: Fault, now: float) -> list[bytes | None]:
        generator = random.Random(fault.seed)
        if fault.kind == "flip":
            self._queue[0] ^= 1 << generator.randrange(8)
        elif fault.kind == "drop":
            del self._queue[: fault.size]
        elif fault.kind == "double":
            return [bytes(self._recent[-fault.size :])]
        elif fault.kind == "cut":  # the rest of a packet, with or without its end
            rest = self._queue.find(0)
            del self._queue[: (rest if rest >= 0 else len(self._queue)) + generator.randrange(2)]
        elif fault.kind == "garbage":
            return [generator.randbytes(fault.size)]
        elif fault.kind == "stall":
            self.held_until = now + fault.stall_s
        else:
            self.forget()
            return [None]
        return []


@dataclass
class Session:
    """What the host has asked for in one session: words in the order of their writes."""

    issued: list[tuple[int, int]]
    acknowledged: int = 0  # of `issued`


class Plan:
    """One host with one faulty line, for one seed.

    Parameters
    ----------
    operations : that the host does
    faults : at most
    """

    def __init__(self, seed: int, *, operations: int = 32, faults: int = 8):
        self.seed = seed
        self._generator = generator = random.Random(seed)
        self._operations = operations
        self.faults = [self._fault() for _ in range(generator.randrange(faults + 1))]
        up = generator.randrange(len(self.faults) + 1)
        self._up, self._down = Line(self.faults[:up]), Line(self.faults[up:])
        self._now = 0.0
        self._progress = 0.0  # time of the last answer
        self._sessions: list[Session] = []
        self._model: dict[int, int] = {}  # what the board holds when all is executed
        self._log: list[tuple[int, int]] = []
        self.lost: list[str] = []
        self.repeated = 0

    @property
    def happened(self) -> list[Fault]:
        """The faults that the bytes have met."""
        return self._up.happened + self._down.happened

    def _fault(self) -> Fault:
        generator = self._generator
        # Few long stalls and resets, or nothing else would be tried.
        kind = generator.choices(KINDS, (6, 4, 4, 4, 4, 2, 1))[0]
        size = generator.choice([1, 2, 10, generator.randrange(1, 2000)])
        stall_s = generator.choice([0.01, 0.1, 0.6, 3.0])
        return Fault(generator.randrange(9_000), kind, size, stall_s, generator.getrandbits(32))

    def run(self, board: LinkBoard) -> None:
        """Everything ends in time, and nothing is lost, doubled or changed."""
        number = self._generator.getrandbits(32)
        done = 0
        while done < self._operations:
            number = (number + 0x9E3779B1) % (1 << 32)
            link = Link(number, self._now)
            self._progress = self._now
            try:
                self._greet(board, link)
                while done < self._operations:
                    count = min(self._generator.randrange(1, 8), self._operations - done)
                    self._batch(board, link, count)
                    done += count
            except _LostError as error:
                self._check_loss(str(error))
            self.repeated += link.repeated
        self._settle(board)
        self._check_log()

    def _greet(self, board: LinkBoard, link: Link) -> None:
        self._sessions.append(Session([]))
        while not any(isinstance(e, Welcome) for e in self._step(board, link)):
            pass
        # What the former session had on its way is executed before the greeting, or never.
        for address in self._model:
            self._model[address] = board.word(address)

    def _batch(self, board: LinkBoard, link: Link, count: int) -> None:
        generator, session = self._generator, self._sessions[-1]
        reads: dict[int, bytes] = {}
        writes: dict[int, int] = {}  # words that are executed when this one is
        for _ in range(count):
            size = generator.choice([0, 1, 1, 2, 3, generator.randrange(MAX_WORDS), MAX_WORDS])
            address = 4 * generator.randrange(WORDS - size)
            if generator.random() < 0.5:
                words = [generator.getrandbits(32) for _ in range(size)]
                data = b"".join(w.to_bytes(4, "little") for w in words)
                writes_now = [(address + 4 * k, w) for k, w in enumerate(words)]
                session.issued += writes_now
                self._model |= writes_now
                writes[link.submit(Op.WRITE, address, size, data)] = len(session.issued)
            else:
                if self._model and size and generator.random() < 0.8:
                    near = generator.choice(list(self._model))
                    address = max(0, min(near, 4 * (WORDS - size)))
                reads[link.submit(Op.READ, address, size)] = self._expected(address, size)
        while link.busy:
            for event in self._step(board, link):
                assert isinstance(event, Done)
                if event.number in reads:
                    assert event.data == reads.pop(event.number), f"{self}: a read is wrong"
                else:
                    session.acknowledged = writes.pop(event.number)
        assert not reads
        assert not writes

    def _expected(self, address: int, size: int) -> bytes:
        """What the words hold, once all is executed that was asked for until now."""
        words = [self._model.get(address + 4 * k, 0) for k in range(size)]
        return b"".join(w.to_bytes(4, "little") for w in words)

    def _step(self, board: LinkBoard, link: Link) -> list[Event]:
        """A slice of time, or, if nothing is on its way, the time until something must happen."""
        for piece in self._up.take(self._now):
            if piece is None:
                self._reset(board)
            else:
                board.send(piece)
            self._down.push(board.run())
        self._log += board.writes()
        data = b""
        for piece in self._down.take(self._now):
            if piece is None:
                self._reset(board)
            else:
                data += piece
        events = link.feed(data, self._now)
        if events:
            if isinstance(events[-1], Lost):
                raise _LostError(events[-1].reason)
            self._progress = self._now
        self._up.push(link.send(self._now))
        self._now += SLICE_S
        moves = [
            self._now if not line.empty and line.held_until <= self._now else line.held_until
            for line in (self._up, self._down)
            if not line.empty
        ]
        if link.wake_at > self._now and not any(m <= self._now for m in moves) and not data:
            self._now = max(self._now, min([link.wake_at, *moves]))
        assert self._now < self._progress + DEADLINE_S + 2 * SLICE_S, f"{self}: no end"
        return events

    def _reset(self, board: LinkBoard) -> None:
        board.reset()
        self._up.forget()

    def _settle(self, board: LinkBoard) -> None:
        """What is still on its way arrives."""
        while not self._up.empty:
            self._now = max(self._now + SLICE_S, self._up.held_until)
            for piece in self._up.take(self._now):
                if piece is not None:
                    board.send(piece)
                    board.run()
        self._log += board.writes()

    def _check_loss(self, reason: str) -> None:
        self.lost.append(reason)
        happened = self.happened
        grave = [
            f for f in happened if f.kind == "reset" or (f.kind == "stall" and f.stall_s >= _LONG_S)
        ]
        assert grave or len(happened) > HARMLESS, f"{self}: {reason}, after {happened}"
        # A stall may be longer than a deadline, but not than two.
        assert len(self.lost) <= 2 * len(happened), f"{self}: {self.lost}, after {happened}"

    def _check_log(self) -> None:
        """Of each session the board has executed what was answered, and perhaps more, in order."""
        place = 0
        for session in self._sessions:
            count = 0
            for expected, seen in zip(session.issued, self._log[place:], strict=False):
                if expected != seen:
                    break
                count += 1
            assert count >= session.acknowledged, f"{self}: a write is missing"
            place += count
        assert place == len(self._log), f"{self}: a write was executed twice, or none that was sent"

    def __str__(self) -> str:
        return f"plan {self.seed}"


class _LostError(Exception):
    """The session is over."""


def run_plan(seed: int) -> Plan:
    """A plan on a board of its own."""
    plan = Plan(seed)
    with LinkBoard() as board:
        plan.run(board)
    return plan
