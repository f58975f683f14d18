"""The link over a faulty line to the compiled bridge; and at full speed, through the UART."""

import random

import pytest
from tests.link_faults import KINDS, Plan, run_plan

from fmzip.link import Done, Link, Lost, Welcome
from fmzip.packets import Receiver, request
from fmzip.protocol import MAX_WORDS, NO_SESSION, Op
from fmzip.regs import ident
from fmzip_sim.linkboard import FIFO_BYTES, LinkBoard
from fmzip_sim.vboard.build import BIT_CYCLES

pytestmark = pytest.mark.xdist_group("linkboard")


# Faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", range(4))
def test_random_faults_lose_double_and_change_nothing(group: int) -> None:
    for seed in range(100 * group, 100 * group + 100):
        run_plan(seed)


@pytest.mark.soak
@pytest.mark.parametrize("group", range(10))
def test_ten_thousand_plans_of_faults_lose_double_and_change_nothing(group: int) -> None:
    for seed in range(1000 * (group + 1), 1000 * (group + 2)):
        run_plan(seed)


def test_the_plans_have_all_kinds_of_faults_and_both_kinds_of_losses() -> None:
    plans = [run_plan(seed) for seed in range(400, 480)]
    assert {f.kind for plan in plans for f in plan.happened} == set(KINDS)
    assert {reason for plan in plans for reason in plan.lost} == {
        "the board was reset", "no answer within 2 s",
    }  # fmt: skip
    assert sum(plan.repeated for plan in plans) > 100
    assert sum(not plan.lost for plan in plans) > 40


@pytest.mark.parametrize("what", ["duplicates are executed", "what was read is changed"])
def test_a_board_that_is_wrong_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = LinkBoard.writes

    def twice(self: LinkBoard) -> list[tuple[int, int]]:
        found = real(self)
        return found + found[-1:] if len(found) > 1 else found

    if what == "duplicates are executed":
        monkeypatch.setattr(LinkBoard, "writes", twice)
    else:
        monkeypatch.setattr(Plan, "_expected", lambda *_: b"\1\2\3\4")
    with pytest.raises(AssertionError, match=r"plan 3: (a write is missing|a read is wrong)"):
        run_plan(3)


def test_a_host_that_ends_in_the_middle_of_a_packet_is_followed_by_one_that_works() -> None:
    with LinkBoard() as board:
        first = _greeted(board, 1)
        first.submit(Op.WRITE, 0, MAX_WORDS, bytes(4 * MAX_WORDS))
        first.submit(Op.READ, 0, MAX_WORDS)
        data = first.send(0.0)
        for size in range(1, len(data), 97):
            board.send(data[:size])
            board.writes()
            _work(board, _greeted(board, 2 + size))


# The compiled bridge -----------------------------------------------------------------------------


@pytest.mark.parametrize("serial", [False, True])
def test_the_board_says_what_it_is(serial: bool) -> None:
    with LinkBoard(serial=serial) as board:
        link = Link(5, 0.0)
        board.send(link.send(0.0))
        (event,) = link.feed(board.run(), 0.0)
        assert isinstance(event, Welcome)
        hello = event.hello
        assert (hello.ident, hello.clock_hz) == (ident(), 100_000_000)
        assert (hello.fifo_bytes, hello.part) == (FIFO_BYTES, "words")


def test_a_reset_forgets_the_session_and_keeps_the_words() -> None:
    with LinkBoard() as board:
        link = _greeted(board, 7)
        link.submit(Op.WRITE, 64, 1, b"\1\2\3\4")
        assert _done(board, link) == [Done(0, b"")]
        board.reset()
        assert board.word(64) == 0x0403_0201
        link.submit(Op.READ, 64, 1)
        board.send(link.send(0.0))
        assert link.feed(board.run(), 0.0) == [Lost("the board was reset")]
        board.send(request(Op.WRITE, 8, 64, 1, bytes(4)))
        (reply,) = Receiver().feed(board.run())
        assert (reply.op, board.word(64)) == (NO_SESSION, 0x0403_0201)


# Speed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [Op.WRITE, Op.READ])
def test_packets_of_a_kibibyte_use_at_least_97_percent_of_a_serial_line(op: Op) -> None:
    packets, size = 24, 4 * MAX_WORDS
    data = random.Random(1).randbytes(size)
    with LinkBoard(serial=True) as board:
        link = _greeted(board, 3)
        link.submit(Op.WRITE, 0, MAX_WORDS, data)
        _done(board, link)
        begin = board.cycles
        for _ in range(packets):
            link.submit(op, 0, MAX_WORDS, data if op == Op.WRITE else b"")
        done: list[Done] = []
        while link.busy:
            board.send(link.send(0.0))
            # The host answers within ten bytes' time.
            events = link.feed(board.run(100 * BIT_CYCLES, idle=False), 0.0)
            done += [e for e in events if isinstance(e, Done)]
        cycles = board.cycles - begin
        assert len(done) == packets
        assert link.repeated == 0
        if op == Op.READ:
            assert all(d.data == data for d in done)
        assert packets * size * 10 * BIT_CYCLES / cycles >= 0.97


def _greeted(board: LinkBoard, session: int) -> Link:
    link = Link(session, 0.0)
    board.send(link.send(0.0))
    assert isinstance(link.feed(board.run(), 0.0)[-1], Welcome)
    return link


def _done(board: LinkBoard, link: Link) -> list[Done]:
    done = []
    while link.busy:
        board.send(link.send(0.0))
        events = link.feed(board.run(), 0.0)
        assert events
        done += [e for e in events if isinstance(e, Done)]
    return done


def _work(board: LinkBoard, link: Link) -> None:
    """A write and a read, each once."""
    board.writes()
    link.submit(Op.WRITE, 128, 2, b"\1\0\0\0\2\0\0\0")
    link.submit(Op.READ, 128, 2)
    assert _done(board, link) == [Done(0, b""), Done(1, b"\1\0\0\0\2\0\0\0")]
    assert board.writes() == [(128, 1), (132, 2)]
