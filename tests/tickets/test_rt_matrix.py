"""The fault matrix of tickets, over a real Request Tracker: what becomes of an entry that goes wrong."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from contextlib import suppress

import pytest

from remediate.lab.rt import RequestTracker
from remediate.model.event import Progress
from remediate.tickets.rt import RequestTrackerTickets
from tests.reliability.faults import cells

from .line import Call, Fault, Line
from .rt_lab import STOCK, create, told, transcript_of
from .test_rt_outbox import STARTED, TAKEN, Log, several, until

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SETTLE = 3.0


def gone(call: Call) -> None:
    """Wait until the client has had enough."""
    with suppress(OSError):
        call.client.recv(1)


def never_arrives(call: Call) -> None:
    gone(call)


def half_arrives(call: Call) -> None:
    with socket.create_connection(call.server) as server:
        server.sendall(call.request[: len(call.request) - 20])


def arrives_twice(call: Call) -> None:
    call.forward()
    call.answer(call.forward())


def cut_at_work(call: Call) -> None:
    """The client hears of the cut while the server is at work."""
    working = threading.Thread(target=call.forward)
    working.start()
    call.client.shutdown(socket.SHUT_RDWR)
    working.join()


def reply_never_arrives(call: Call) -> None:
    call.forward()
    gone(call)


def reply_arrives_twice(call: Call) -> None:
    answer = call.forward()
    call.answer(answer + answer)


def arrives_late(call: Call) -> None:
    """Within the time in which nobody believes that it is lost."""
    call.client.shutdown(socket.SHUT_RDWR)
    time.sleep(SETTLE / 3)
    call.forward()


ONCE, TWICE = "stands once", "stands twice, which is told"
CASES: list[tuple[str, str, Fault, str]] = [
    ("before", "timeout", never_arrives, ONCE),
    ("before", "truncated", half_arrives, ONCE),
    ("before", "duplicate", arrives_twice, TWICE),
    ("during", "drop", cut_at_work, ONCE),
    ("after", "timeout", reply_never_arrives, ONCE),
    ("after", "duplicate", reply_arrives_twice, ONCE),
    ("late", "drop", arrives_late, ONCE),
]


def ending(log: Log, numbers: list[int]) -> str:
    """How often the second entry stands on the ticket, and whether that is told."""
    assert sorted(set(numbers)) == [1, 2, 3]
    assert numbers == sorted(numbers)
    doubles = [problem for problem in log.problems if "stand on the ticket twice" in problem]
    if numbers == [1, 2, 3]:
        assert not doubles
        return ONCE
    assert numbers == [1, 2, 2, 3]
    return TWICE if doubles else "stands twice"


@cells("ticket", *((moment, fault, outcome) for moment, fault, _, outcome in CASES))
def test_an_entry(running: RequestTracker) -> None:
    """Side by side: one ticket, one log and one line for each case."""
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(contextlib.closing(Line(("127.0.0.1", running.port)))) for _ in CASES]
        systems = [
            stack.enter_context(
                contextlib.closing(RequestTrackerTickets(line.url, running.token(), timeout=3))
            )
            for line in lines
        ]
        tickets = [create(running, STOCK) for _ in CASES]
        logs = [Log(system, ticket, SETTLE) for system, ticket in zip(systems, tickets, strict=True)]
        with several(logs):
            for log in logs:
                log.add(STARTED)
            until(lambda: all(told(transcript_of(running, ticket)) == [1] for ticket in tickets), 60)
            for (_, _, fault, _), line, log in zip(CASES, lines, logs, strict=True):
                line.faults.append(("/correspond", fault))
                log.add(Progress(text="half way"), TAKEN)
            assert all(log.outbox.flush(60) for log in logs)
        assert not any(line.faults for line in lines), "each fault was made"
    seen = [
        ending(log, told(transcript_of(running, ticket))) for log, ticket in zip(logs, tickets, strict=True)
    ]
    assert seen == [outcome for _, _, _, outcome in CASES]
