"""The outbox over a real Request Tracker that is frozen, killed and slow."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from remediate.journal.sqlite import SqliteJournal
from remediate.lab.rt import RequestTracker
from remediate.model.event import Body, Event, Progress, RunFinished, RunStarted, RunTaken
from remediate.tickets.interface import Change, TicketSystem
from remediate.tickets.outbox import Outbox
from remediate.tickets.pump import Pace
from remediate.tickets.rt import RequestTrackerTickets
from tests.reliability.faults import cells

from .line import Call, Line, dropped, held, reply_cut, reply_lost, says
from .rt_lab import STOCK, create, quiet, send, told, transcript_of, workers

pytestmark = [pytest.mark.lab, pytest.mark.slow]

CHANGE = Change("a" * 64, "medium", "2026-01-01T22:00:00+00:00/2026-01-02T02:00:00+00:00")
STARTED = RunStarted(
    plan="a" * 64,
    plan_id="p",
    ticket="1",
    runbook="x",
    runner="alice",
    tool_version="1",
    targets=1,
    steps=1,
)
TAKEN = RunTaken(runner="alice", tool_version="1")


@pytest.fixture
def system(rt_system: RequestTrackerTickets) -> RequestTrackerTickets:
    return rt_system


@pytest.fixture
def ticket_id(rt_ticket: str) -> str:
    return rt_ticket


#: A process that posts what the journal holds.
PROCESS = """
import sys
from pathlib import Path
from remediate.journal.sqlite import SqliteJournal
from remediate.tickets.outbox import Outbox
from remediate.tickets.pump import Pace
from remediate.tickets.rt import RequestTrackerTickets
path, url, ticket = sys.argv[1:]
token = sys.stdin.read()
journal = SqliteJournal(Path(path))
outbox = Outbox(
    RequestTrackerTickets(url, token), ticket, "r-1", lambda after: journal.events("r-1", after),
    lambda event: f"<{event.number}> {event.body.kind}", pace=Pace(settle=1, linger=0),
)
sys.exit(0 if outbox.flush(100) else 1)
"""


class Log:
    """A journal in memory and its outbox."""

    def __init__(
        self, system: TicketSystem, ticket: str, settle: float, change: Change | None = None
    ) -> None:
        self.events: list[Event] = []
        self.problems: list[str] = []
        self.outbox = Outbox(
            system,
            ticket,
            "r-1",
            lambda after: self.events[after:],
            lambda event: f"<{event.number}> {event.body.kind}",
            change=change,
            problem=self.problems.append,
            pace=Pace(settle=settle, linger=0.1, rarely=2.0, slowest=1.0),
        )

    def add(self, *bodies: Body) -> None:
        for body in bodies:
            number = len(self.events) + 1
            event = Event(seq=number, run="r-1", number=number, at=0.0, body=body, prev="", hash="")
            self.events.append(event)
        self.outbox.wake()


@contextmanager
def keeping(log: Log) -> Iterator[Log]:
    log.outbox.check()
    log.outbox.start()
    try:
        yield log
    finally:
        log.outbox.stop(5)


@contextmanager
def several(logs: list[Log]) -> Iterator[list[Log]]:
    with ExitStack() as stack:
        yield [stack.enter_context(keeping(log)) for log in logs]


def until(condition: Callable[[], bool], patience: float = 20) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestOutbox:
    """The outbox over a server that is frozen, killed and slow."""

    def test_a_whole_run_and_its_rollback(
        self, running: RequestTracker, system: RequestTrackerTickets, rt_change: str
    ) -> None:
        """The lab's lifecycle ends at resolved: a comment tells what the status can't, and nothing waits."""
        ticket_id = rt_change
        running.approve(int(ticket_id))
        with keeping(Log(system, ticket_id, 5, CHANGE)) as log:
            log.add(STARTED, *[TAKEN] * 60)
            log.add(Progress(text="half way"), TAKEN, RunFinished(exit_code=0, summary="done"))
            assert log.outbox.flush(20)
        entries = transcript_of(running, ticket_id)
        assert told(entries) == list(range(1, 65))
        assert [entry.public for entry in entries] == [False, False, True, False, True]
        assert running.ticket(int(ticket_id))["Status"] == "resolved"
        assert log.problems == []
        with keeping(log):
            log.add(TAKEN, RunFinished(exit_code=4, summary="rolled back"))
            assert log.outbox.flush(20)
            assert log.outbox.flush(20)
        later = transcript_of(running, ticket_id)[len(entries) :]
        assert told(later) == [65, 66]
        (note,) = [entry for entry in later if "could not be set to say so" in entry.text]
        assert "everything is rolled back and verified to be as before" in note.text
        assert not note.public
        assert running.ticket(int(ticket_id))["Status"] == "resolved"

    def test_refused_status_is_noted_and_the_log_goes_on(
        self, running: RequestTracker, system: RequestTrackerTickets, rt_change: str
    ) -> None:
        ticket_id = rt_change
        with keeping(Log(system, ticket_id, 5, CHANGE)) as log:
            log.add(STARTED, RunFinished(exit_code=4, summary="rolled back"))
            assert log.outbox.flush(20)
            assert log.outbox.flush(20)
        entries = transcript_of(running, ticket_id)
        assert told(entries) == [1, 2]
        assert sum("can't change status" in entry.text for entry in entries) == 2

    @pytest.mark.fault("ticket", "during", "timeout", "stands once")
    def test_server_frozen_in_the_middle_of_posts(self, running: RequestTracker) -> None:
        """What it took before it froze, or takes when it thaws, stands once: five logs, at five moments."""
        system = RequestTrackerTickets(running.url, running.token(), timeout=1)
        tickets = [create(running, STOCK) for _ in range(5)]
        with several([Log(system, ticket, settle=3) for ticket in tickets]) as logs:
            for log in logs:
                log.add(STARTED)
            until(lambda: all(told(transcript_of(running, ticket)) == [1] for ticket in tickets))
            for log, pause in zip(logs, (0.1, 0.05, 0.03, 0.02, 0.0), strict=True):
                log.add(Progress(text="half way"))
                time.sleep(pause)
            send(running, signal.SIGSTOP)
            time.sleep(2.5)
            for log in logs:
                log.add(TAKEN, Progress(text="more"))
            assert not logs[0].outbox.flush(0.5)
            send(running, signal.SIGCONT)
            assert all(log.outbox.flush(40) for log in logs)
        for ticket in tickets:
            assert told(transcript_of(running, ticket)) == [1, 2, 3, 4]
            assert system.posted(ticket, "r-1") == (1, 2, 3, 4)

    @pytest.mark.fault("ticket", "late", "timeout", "stands once")
    def test_one_worker_frozen_with_a_post_in_its_hands(
        self, running: RequestTracker, far: RequestTrackerTickets, line: Line, ticket_id: str
    ) -> None:
        """The others may answer that the entry is not there; then it is taken after all."""
        alone, *others = workers(running)
        thawed = threading.Event()

        def freeze(call: Call) -> None:
            with socket.create_connection(call.server) as upstream:
                upstream.sendall(call.request)
                time.sleep(0.03)
                os.kill(alone, signal.SIGSTOP)
                for pid in others:
                    os.kill(pid, signal.SIGCONT)
                call.client.close()
                thawed.wait(60)
                upstream.recv(65536)

        with keeping(Log(far, ticket_id, settle=6)) as log:
            log.add(STARTED)
            until(lambda: told(transcript_of(running, ticket_id)) == [1])
            for pid in others:
                os.kill(pid, signal.SIGSTOP)
            line.faults.append(("/correspond", freeze))
            log.add(Progress(text="half way"), TAKEN)
            until(lambda: bool(log.problems))
            time.sleep(3)
            os.kill(alone, signal.SIGCONT)
            thawed.set()
            assert log.outbox.flush(30)
        assert told(transcript_of(running, ticket_id)) == [1, 2, 3]

    @pytest.mark.fault("ticket", "during", "vanished", "stands once")
    def test_server_killed_and_started_again(self, running: RequestTracker) -> None:
        """Once, in the middle of three logs."""
        system = RequestTrackerTickets(running.url, running.token(), timeout=2)
        tickets = [create(running, STOCK) for _ in range(3)]
        with several([Log(system, ticket, settle=3) for ticket in tickets]) as logs:
            for log in logs:
                log.add(STARTED)
            until(lambda: all(told(transcript_of(running, ticket)) == [1] for ticket in tickets))
            for log in logs:
                log.add(Progress(text="half way"), TAKEN)
                time.sleep(random.uniform(0, 0.1))  # noqa: S311
            send(running, signal.SIGKILL)
            for log in logs:
                log.add(TAKEN)
            assert not logs[0].outbox.flush(1)
            running.up(quiet)
            for log in logs:
                log.add(Progress(text="more"))
            assert all(log.outbox.flush(40) for log in logs)
        for ticket, log in zip(tickets, logs, strict=True):
            assert told(transcript_of(running, ticket)) == list(range(1, 6))
            assert any("can't be reached" in said or "not answer" in said for said in log.problems)

    @cells(
        "ticket",
        ("before", "drop", "stands once"),
        ("after", "drop", "stands once"),
        ("after", "truncated", "stands once"),
    )
    def test_replies_lost_and_busy(
        self, running: RequestTracker, far: RequestTrackerTickets, line: Line, ticket_id: str
    ) -> None:
        busy = says("429 Too Many Requests")
        with keeping(Log(far, ticket_id, settle=2)) as log:
            line.faults.extend(
                [
                    ("/c", reply_lost),
                    ("/c", busy),
                    ("/c", dropped),
                    ("/attachments", dropped),
                    ("/c", reply_cut),
                ]
            )
            log.add(STARTED, Progress(text="a"), TAKEN, Progress(text="b"), TAKEN)
            assert log.outbox.flush(40)
        assert not line.faults
        assert told(transcript_of(running, ticket_id)) == [1, 2, 3, 4, 5]

    @pytest.mark.fault("ticket", "late", "duplicate", "stands twice, which is told")
    def test_post_taken_after_the_time_to_settle_is_told(
        self, running: RequestTracker, far: RequestTrackerTickets, line: Line, ticket_id: str
    ) -> None:
        """What nothing can prevent: it stands twice, and that is told."""
        release = threading.Event()
        with keeping(Log(far, ticket_id, settle=1)) as log:
            line.faults.append(("/correspond", held(release)))
            log.add(Progress(text="a"))
            until(lambda: told(transcript_of(running, ticket_id)) == [1])
            release.set()
            until(lambda: told(transcript_of(running, ticket_id)) == [1, 1])
            log.add(TAKEN)
            assert log.outbox.flush(20)
        assert told(transcript_of(running, ticket_id)) == [1, 1, 2]
        assert log.problems[-1].endswith("taken late: [1]")

    @pytest.mark.fault("ticket", "after", "vanished", "stands once")
    def test_process_killed_at_any_moment(
        self, running: RequestTracker, ticket_id: str, tmp_path: Path
    ) -> None:
        """One process after another is killed while it posts; the last one finds what is missing."""
        path = tmp_path / "journal.db"
        journal = SqliteJournal(path)
        lease = journal.acquire("r-1", [], "test", 0.0, 1e9)
        step: list[Body] = [Progress(text="on"), TAKEN, TAKEN]
        bodies = [STARTED, *step * 4]
        journal.append("r-1", bodies, 0.0, lease)
        command = [sys.executable, "-c", PROCESS, str(path), running.url, ticket_id]
        for attempt in range(4):
            with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
                try:
                    process.communicate(running.token(), random.uniform(0.8, 3) if attempt < 3 else 120)  # noqa: S311
                    break
                except subprocess.TimeoutExpired:
                    process.kill()
        assert process.returncode == 0
        assert told(transcript_of(running, ticket_id)) == list(range(1, len(bodies) + 1))
