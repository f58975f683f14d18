"""The host's side of the link, with a board that says what the test wants."""

import random

import pytest
from tests.link_bench import greeted, reply_to, requests_in, welcome

from fmzip.link import DEADLINE_S, RETRY_S, Done, Link, Lost, Welcome
from fmzip.packets import Reply
from fmzip.protocol import MAX_IN_FLIGHT, MAX_WORDS, NO_SESSION, Op, max_packet

SESSION = 0x0BAD_A5F0  # the first request has the number 0xF0, so numbers soon go round
FIFO = 4096


def fill(link: Link, count: int, op: Op = Op.READ, words: int = 1) -> list[int]:
    data = bytes(4 * words) if op == Op.WRITE else b""
    return [link.submit(op, 4 * k, words, data) for k in range(count)]


# Sessions ----------------------------------------------------------------------------------------


def test_a_session_begins_with_a_greeting_and_nothing_else_is_sent_before_its_answer() -> None:
    link = Link(SESSION, 0.0)
    fill(link, 3)
    (greeting,) = requests_in(link.send(0.0))
    assert (greeting.op, greeting.address) == (Op.HELLO, SESSION)
    assert link.send(0.1) == b""
    (event,) = link.feed(welcome(SESSION, FIFO), 0.1)
    assert isinstance(event, Welcome)
    assert (event.hello.session, event.hello.fifo_bytes) == (SESSION, FIFO)
    assert [r.sequence for r in requests_in(link.send(0.1))] == [0xF0, 0xF1, 0xF2]
    assert link.busy


def test_what_a_former_session_left_on_the_line_is_ignored() -> None:
    link = Link(SESSION, 0.0)
    old = Link(SESSION - 1, 0.0)
    (asked,) = requests_in(old.send(0.0))
    link.send(0.0)
    noise = b"\x05\x06\0" + welcome(SESSION - 1, FIFO) + reply_to(asked, b"") + b"\x03\x01\x01"
    assert link.feed(noise, 0.0) == []
    assert [type(e) for e in link.feed(b"\0" + welcome(SESSION, FIFO), 0.0)] == [Welcome]
    # Replies with the number of a request, but the tag of another session.
    fill(link, 1, Op.WRITE)
    (asked,) = requests_in(link.send(0.0))
    for tag in (0, asked.tag ^ 1):
        assert link.feed(reply_to(asked, tag=tag), 0.0) == []
        assert link.feed(reply_to(asked, op=NO_SESSION, tag=tag), 0.0) == []
    assert link.feed(reply_to(asked), 0.0) == [Done(0, b"")]


def test_a_board_without_a_session_was_reset() -> None:
    link = greeted(SESSION, FIFO)
    fill(link, 3)
    asked = requests_in(link.send(0.0))
    assert link.feed(reply_to(asked[0], b"abcd"), 0.0) == [Done(0, b"abcd")]
    assert link.feed(reply_to(asked[1], op=NO_SESSION), 0.0) == [Lost("the board was reset")]
    assert not link.busy
    assert link.feed(reply_to(asked[2], b"abcd"), 0.0) == []
    assert link.send(9.0) == b""
    assert link.feed(b"", 9.0) == []
    assert link.wake_at == float("inf")


# Several at once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [0, 1, 60, MAX_WORDS])
@pytest.mark.parametrize("fifo", [max_packet(), 2048, FIFO, 1 << 16])
def test_no_more_is_outstanding_than_the_board_holds_and_the_limit_allows(
    fifo: int, words: int
) -> None:
    link, board, generator = greeted(SESSION, fifo), [], random.Random(words)
    numbers = fill(link, 60, Op.WRITE, words)
    done, most, most_bytes = [], 0, 0
    while link.busy:
        board += requests_in(link.send(0.0))
        most, most_bytes = max(most, len(board)), max(most_bytes, sum(r.size for r in board))
        assert most <= MAX_IN_FLIGHT
        assert most_bytes <= fifo
        done += link.feed(reply_to(board.pop(0)), 0.0)
        if generator.random() < 0.5 and board:
            done += link.feed(reply_to(board.pop(0)), 0.0)
    assert [d.number for d in done] == numbers
    # And not much less, either.
    assert most == MAX_IN_FLIGHT or most_bytes > fifo - max_packet()


def test_a_request_that_is_larger_than_the_board_holds_is_sent_alone() -> None:
    link = greeted(SESSION, 100)
    fill(link, 2, Op.WRITE, MAX_WORDS)
    (asked,) = requests_in(link.send(0.0))
    link.feed(reply_to(asked), 0.0)
    assert len(requests_in(link.send(0.0))) == 1


def test_a_write_waits_for_the_reads_before_it_and_a_read_for_nothing() -> None:
    link = greeted(SESSION, FIFO)
    for op in (Op.WRITE, Op.READ, Op.READ, Op.WRITE, Op.WRITE, Op.READ):
        link.submit(op, 0, 1, bytes(4) if op == Op.WRITE else b"")
    first = requests_in(link.send(0.0))
    assert [r.op for r in first] == [Op.WRITE, Op.READ, Op.READ]
    link.feed(reply_to(first[1], b"abcd"), 0.0)
    assert link.send(0.0) == b""
    assert link.feed(reply_to(first[2], b"efgh"), 0.0) == [Done(2, b"efgh")]
    assert [r.op for r in requests_in(link.send(0.0))] == [Op.WRITE, Op.WRITE, Op.READ]


def test_an_answer_stands_for_all_writes_before_it() -> None:
    link = greeted(SESSION, FIFO)
    for op in (Op.WRITE, Op.WRITE, Op.WRITE, Op.READ):
        link.submit(op, 0, 1, bytes(4) if op == Op.WRITE else b"")
    asked = requests_in(link.send(0.0))
    assert link.feed(reply_to(asked[1]), 0.0) == [Done(0, b""), Done(1, b"")]
    assert link.feed(reply_to(asked[3], b"abcd"), 0.0) == [Done(2, b""), Done(3, b"abcd")]
    assert not link.busy


def test_any_split_of_the_bytes_gives_the_same_events() -> None:
    for seed in range(20):
        generator, link = random.Random(seed), greeted(SESSION, FIFO)
        fill(link, 8, Op.READ, 2)
        asked = requests_in(link.send(0.0))
        data = b"".join(reply_to(r, bytes((k,)) * 8) for k, r in enumerate(asked))
        events = []
        while data:
            size = generator.randrange(1, 40)
            events += link.feed(data[:size], 0.0)
            data = data[size:]
        assert events == [Done(k, bytes((k,)) * 8) for k in range(8)]


# What is lost ------------------------------------------------------------------------------------


def test_what_is_not_answered_is_sent_again_from_the_oldest_on_behind_a_zero() -> None:
    link = greeted(SESSION, FIFO)
    fill(link, 4, Op.WRITE)
    first = requests_in(link.send(0.0))
    assert link.feed(reply_to(first[1]), 0.1) == [Done(0, b""), Done(1, b"")]
    assert link.wake_at == pytest.approx(0.1 + RETRY_S)
    assert link.feed(b"", 0.1 + RETRY_S * 0.99) == []
    assert link.send(0.1 + RETRY_S * 0.99) == b""
    assert link.feed(b"", 0.1 + RETRY_S) == []
    again = link.send(0.1 + RETRY_S)
    assert again[0] == 0
    assert requests_in(again) == first[2:]
    assert link.repeated == 2
    # The answers to both.
    assert link.feed(reply_to(first[2]) * 2 + reply_to(first[3]) * 2, 0.5) == [
        Done(2, b""), Done(3, b""),
    ]  # fmt: skip


def test_a_mute_board_is_given_up_at_the_deadline_and_asked_several_times_before() -> None:
    for link in (Link(SESSION, 5.0), greeted(SESSION, FIFO, 5.0)):
        if not link.busy:
            fill(link, 1)
        now, asked = 5.0, 0
        while True:
            asked += bool(link.send(now))
            assert now < link.wake_at <= 5.0 + DEADLINE_S
            now = link.wake_at
            events = link.feed(b"", now)
            if events:
                break
        assert events == [Lost("no answer within 2 s")]
        assert now == pytest.approx(5.0 + DEADLINE_S)
        assert asked == 5


def test_a_slow_line_has_all_times_longer() -> None:
    link, times, events = Link(SESSION, 0.0, 1.0, pace=10.0), [], []
    while not events:
        link.send(link.wake_at)
        times.append(link.wake_at)
        events = link.feed(b"", link.wake_at)
    assert events == [Lost("no answer within 10 s")]
    assert times == [2.5, 7.5, 10.0]


def test_progress_puts_the_deadline_off_and_noise_does_not() -> None:
    link = greeted(SESSION, FIFO)
    fill(link, 10)
    asked, now = requests_in(link.send(0.0)), 0.0
    for r in asked[:5]:
        now += 0.9 * DEADLINE_S
        assert [type(e) for e in link.feed(reply_to(r, b"abcd"), now)] == [Done]
    end, events = now + DEADLINE_S, []
    while not events:
        now += 0.01
        events = link.feed(b"\x11\x22\0" + reply_to(asked[0], b"abcd"), now)
        link.send(now)
    assert events == [Lost("no answer within 2 s")]
    assert now == pytest.approx(end, abs=0.02)


def test_time_without_requests_does_not_count() -> None:
    link = greeted(SESSION, FIFO)
    assert link.wake_at == float("inf")
    assert link.feed(b"", 1000.0) == []
    fill(link, 1)
    (asked,) = requests_in(link.send(1000.0))
    assert link.wake_at == pytest.approx(1000.0 + RETRY_S)
    # The host was away, and the answer has long been there.
    assert link.feed(reply_to(asked, b"abcd"), 2000.0) == [Done(0, b"abcd")]


def test_a_missing_answer_to_a_read_is_asked_for_at_once_and_once_only() -> None:
    link = greeted(SESSION, FIFO)
    fill(link, 5)
    asked = requests_in(link.send(0.0))
    # What was read behind it may be older than what is read again: it does not count.
    for r in asked[1:]:
        assert link.feed(reply_to(r, b"late"), 0.0) == []
    assert requests_in(link.send(0.0)) == asked
    assert link.send(0.0) == b""
    events = [e for r in asked for e in link.feed(reply_to(r, b"good"), 0.0)]
    assert events == [Done(k, b"good") for k in range(5)]


def test_an_answer_to_another_question_is_none() -> None:
    link = greeted(SESSION, FIFO)
    fill(link, 1)
    (asked,) = requests_in(link.send(0.0))
    assert link.feed(reply_to(asked, op=Op.WRITE), 0.0) == []
    assert link.feed(reply_to(asked, b"12345678", count=2), 0.0) == []
    assert link.feed(welcome(SESSION, FIFO), 0.0) == []
    assert link.feed(reply_to(asked, b"good"), 0.0) == [Done(0, b"good")]


def test_damaged_packets_are_counted() -> None:
    link = greeted(SESSION, FIFO)
    fill(link, 1)
    (asked,) = requests_in(link.send(0.0))
    packet = bytearray(reply_to(asked, b"good"))
    packet[3] ^= 0x40
    assert link.feed(bytes(packet), 0.0) == []
    assert link.dropped == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Op.READ, 2, 1), "address must be a multiple of 4"),
        ((Op.READ, 0, 257), "count must be 0 to 256"),
        ((Op.WRITE, 0, 1, b""), "0 bytes do not fit WRITE of 1 words"),
    ],
)
def test_a_request_that_cannot_be_is_refused_and_not_queued(arguments, message: str) -> None:
    link = greeted(SESSION, FIFO)
    with pytest.raises(ValueError, match=message):
        link.submit(*arguments)
    assert not link.busy


def test_replies_are_what_the_bench_says() -> None:
    link = greeted(SESSION, FIFO)
    fill(link, 1)
    (asked,) = requests_in(link.send(0.0))
    assert asked.reply(b"abcd") == Reply(Op.READ, 0xF0, 1, b"abcd", 0x25)
