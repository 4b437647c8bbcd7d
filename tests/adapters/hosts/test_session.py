"""Requests and answers over a pipe that does what a test wants."""

from __future__ import annotations

import json
import queue
import threading
import time
from typing import Any

import pytest

from remediate.adapters.hosts.access import Access
from remediate.adapters.hosts.errors import Unreachable
from remediate.adapters.hosts.pipe import PipeLost
from remediate.adapters.hosts.remote.wire import HEADER, MARK
from remediate.adapters.hosts.session import Session
from remediate.errors import InDoubt, StepFailed

ACCESS = Access("h", "127.0.0.1", 22, None, None, (), None, "python3", connect_seconds=0.5)


def frame(payload: bytes = b"", **fields: Any) -> bytes:
    text = json.dumps(fields).encode()
    return HEADER.pack(len(text), len(payload)) + text + payload


class Pipe:
    """What was sent is kept; what is received is what the test says."""

    def __init__(self, *answers: bytes) -> None:
        self.sent: list[bytes] = []
        self.incoming: queue.Queue[bytes] = queue.Queue()
        self.closed = False
        self.fails = False
        for answer in answers:
            self.incoming.put(answer)

    def send(self, data: bytes, deadline: float) -> None:
        if self.fails:
            raise PipeLost("the pipe broke")
        self.sent.append(data)

    def receive(self, deadline: float) -> bytes:
        try:
            data = self.incoming.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise PipeLost("no answer in time") from None
        if not data:
            raise PipeLost("the connection is gone")
        return data

    def alive(self) -> bool:
        return not self.closed

    def complaints(self) -> str:
        return "sudo: a password is required"

    def close(self) -> None:
        self.closed = True

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Decoded, without the program."""
        return [json.loads(data[8 : 8 + HEADER.unpack(data[:8])[0]]) for data in self.sent[1:]]


HELLO = MARK + frame(boot="b", uid=0, python="3", clock=0.0)


def test_a_greeting_may_come_in_pieces_and_after_noise() -> None:
    data = b"Last login: today\n" + HELLO
    session = Session(ACCESS, Pipe(*[data[i : i + 1] for i in range(len(data))]))
    assert session.boot == "b"


def test_no_greeting_says_what_the_other_side_said() -> None:
    pipe = Pipe(b"noise", b"")
    with pytest.raises(Unreachable, match="a password is required") as caught:
        Session(ACCESS, pipe)
    assert "sudo without a password" in caught.value.advice
    assert pipe.closed


def test_endless_noise_is_not_listened_to() -> None:
    with pytest.raises(Unreachable):
        Session(ACCESS, Pipe(*[b"x" * 60_000] * 3))


def test_an_answer_is_given_to_who_asked() -> None:
    pipe = Pipe(HELLO, frame(b"payload", number=1, value=5))
    answer = Session(ACCESS, pipe).ask("read", effect=False, seconds=1, fields={"path": "/x"})
    assert (answer.fields, answer.payload) == ({"value": 5}, b"payload")
    (request,) = pipe.requests
    # The agent's clock stood at 0 when it greeted.
    assert 0 < request.pop("until") < 2
    assert request == {"path": "/x", "op": "read", "number": 1}


def test_a_refusal_is_a_failed_step_with_its_advice() -> None:
    session = Session(ACCESS, Pipe(HELLO, frame(number=1, refused="no", advice="do that")))
    with pytest.raises(StepFailed, match="h: no") as caught:
        session.ask("write", effect=True, seconds=1)
    assert caught.value.advice == "do that"
    assert not isinstance(caught.value, Unreachable)


@pytest.mark.parametrize("answers", [[], [b""], [b"\0\0"], [HEADER.pack(5, 0) + b"junk!"], [b"\xff" * 8]])
def test_no_proper_answer_to_an_effect_is_doubt(answers: list[bytes]) -> None:
    pipe = Pipe(HELLO, *answers)
    session = Session(ACCESS, pipe)
    with pytest.raises(InDoubt):
        session.ask("write", effect=True, seconds=0.2)
    assert pipe.closed, "after a lost answer the connection can't be trusted to be in step"


@pytest.mark.parametrize("answers", [[], [b""]])
def test_no_answer_to_a_question_changed_nothing(answers: list[bytes]) -> None:
    session = Session(ACCESS, Pipe(HELLO, *answers))
    with pytest.raises(Unreachable, match="nothing was changed"):
        session.ask("facts", effect=False, seconds=0.2)


def test_what_could_not_be_sent_was_not_done() -> None:
    pipe = Pipe(HELLO)
    session = Session(ACCESS, pipe)
    pipe.fails = True
    with pytest.raises(Unreachable, match="was not sent"):
        session.ask("write", effect=True, seconds=1)
    pipe.fails = False
    with pytest.raises(Unreachable, match="was not sent"):
        session.ask("write", effect=True, seconds=1)
    assert len(pipe.sent) == 1


def test_the_deadline_is_kept() -> None:
    session = Session(ACCESS, Pipe(HELLO))
    began = time.monotonic()
    with pytest.raises(InDoubt):
        session.ask("write", effect=True, seconds=0.3)
    assert 0.25 < time.monotonic() - began < 1.5


def test_threads_get_their_own_answers() -> None:
    pipe = Pipe(HELLO)
    session = Session(ACCESS, pipe)
    got: dict[int, int] = {}

    def ask(value: int) -> None:
        got[value] = session.ask("x", effect=False, seconds=5, fields={"value": value}).fields["echo"]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    while len(pipe.sent) < 9:
        time.sleep(0.005)
    for request in reversed(pipe.requests):
        pipe.incoming.put(frame(number=request["number"], echo=request["value"]))
    for thread in threads:
        thread.join(5)
    assert got == {n: n for n in range(8)}


def test_one_lost_answer_wakes_all_who_wait() -> None:
    pipe = Pipe(HELLO)
    session = Session(ACCESS, pipe)
    errors: list[Exception] = []

    def ask() -> None:
        try:
            session.ask("x", effect=True, seconds=5)
        except InDoubt as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(pipe.sent) < 4:
        time.sleep(0.005)
    began = time.monotonic()
    pipe.incoming.put(b"")
    for thread in threads:
        thread.join(5)
    assert len(errors) == 3
    assert time.monotonic() - began < 2
