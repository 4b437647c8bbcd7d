"""A Request Tracker of these tests' own, beside the lab's, so that it can be frozen and killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from remediate.lab import rt_seed
from remediate.lab.rt import RequestTracker
from remediate.tickets.rt import RequestTrackerTickets

from .line import Line
from .rt_lab import STOCK, create, disturbed, free_port, quiet, send, with_more_queues


@pytest.fixture(scope="session")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RequestTracker]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rt_seed, "SOURCE", with_more_queues(tmp_path_factory.mktemp("source")))
        found = RequestTracker(tmp_path_factory.mktemp("lab"), free_port())
        found.up(quiet)
        yield found
        found.down()


@pytest.fixture
def running(tracker: RequestTracker) -> RequestTracker:
    """The tracker, thawed and started again if the test before has stopped it."""
    if tracker.root in disturbed:
        send(tracker, signal.SIGCONT)
        tracker.up(quiet)
        disturbed.discard(tracker.root)
    return tracker


@pytest.fixture
def rt_system(running: RequestTracker) -> Iterator[RequestTrackerTickets]:
    tickets = RequestTrackerTickets(running.url, running.token())
    yield tickets
    tickets.close()


@pytest.fixture
def rt_change(running: RequestTracker) -> str:
    """A change that has to be approved, in the lab's queue."""
    return str(running.create_change("Patch openssl", "please", "customer", "urgent"))


@pytest.fixture
def rt_ticket(running: RequestTracker) -> str:
    """A ticket in a queue whose rules do nothing when one is made, which takes a third of the time."""
    return create(running, STOCK, "customer")


@pytest.fixture
def line(running: RequestTracker) -> Iterator[Line]:
    found = Line(("127.0.0.1", running.port))
    yield found
    found.close()


@pytest.fixture
def far(running: RequestTracker, line: Line) -> Iterator[RequestTrackerTickets]:
    """The same tracker over the line, with little patience."""
    tickets = RequestTrackerTickets(line.url, running.token(), timeout=2)
    yield tickets
    tickets.close()
