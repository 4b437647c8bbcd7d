"""Request Tracker as a ticket system, over a real one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediate.lab.rt import RequestTracker
from remediate.model.change import Priority
from remediate.model.event import Final
from remediate.tickets import rt
from remediate.tickets.interface import Change, ChangeWorkflow, EntryList, Post, TicketRefused, TicketSystem
from remediate.tickets.rt import FIELDS, RequestTrackerTickets

from .conformance import TicketConformance, Transcript
from .rt_lab import call, say, transcript_of

pytestmark = [pytest.mark.lab, pytest.mark.slow]

CHANGE = Change("a" * 64, "medium", "2026-01-01T22:00:00+00:00/2026-01-02T02:00:00+00:00")


@pytest.fixture
def system(rt_system: RequestTrackerTickets) -> RequestTrackerTickets:
    return rt_system


@pytest.fixture
def ticket_id(rt_ticket: str) -> str:
    return rt_ticket


class TestConformance(TicketConformance):
    """The suite that every ticket system has to pass."""

    @pytest.fixture
    def transcript(self, running: RequestTracker) -> Transcript:
        return lambda ticket: transcript_of(running, ticket)


def test_it_has_every_capability(system: RequestTrackerTickets) -> None:
    conforming: TicketSystem = system
    assert isinstance(conforming, EntryList)
    assert isinstance(conforming, ChangeWorkflow)


class TestRead:
    @pytest.mark.parametrize("priority", list(Priority))
    def test_priority_and_requester(
        self, running: RequestTracker, system: RequestTrackerTickets, priority: Priority
    ) -> None:
        ticket = str(running.create_change("Größe", "please", "customer", priority.value))
        found = system.read(ticket)
        assert (found.subject, found.requester, found.priority, found.system) == (
            "Größe",
            "customer@customer.example",
            priority,
            "rt",
        )

    def test_unknown_priority_is_normal(self, running: RequestTracker, ticket_id: str) -> None:
        system = RequestTrackerTickets(running.url, running.token(), priorities={"blocker": Priority.HIGH})
        assert system.read(ticket_id).priority is Priority.NORMAL

    def test_ticket_without_requestor(self, running: RequestTracker, system: RequestTrackerTickets) -> None:
        made = call(running, "remediate", "POST", "/ticket", Queue="Changes", Subject="x", Requestor=[])
        ticket = cast(dict[str, str], made)["id"]
        call(running, "remediate", "PUT", f"/ticket/{ticket}", Requestor=[])
        assert system.read(ticket).requester is None

    def test_account_that_may_not_comment(self, running: RequestTracker, ticket_id: str) -> None:
        theirs = RequestTrackerTickets(running.url, running.token("customer"))
        with pytest.raises(TicketRefused, match="not write its log") as refusal:
            theirs.read(ticket_id)
        assert "CommentOnTicket" in refusal.value.advice


class TestCursor:
    @pytest.mark.parametrize("user", ["customer", "alice", "carol"])
    def test_quotation_of_a_marker_does_not_count(
        self, running: RequestTracker, system: RequestTrackerTickets, ticket_id: str, user: str
    ) -> None:
        system.post(ticket_id, Post("r-1", 3, "ours", public=True))
        say(running, user, ticket_id, "> ours\n>\n[remediate r-1 #99]")
        say(running, user, ticket_id, "[remediate r-1 #98]")
        assert system.last_posted(ticket_id, "r-1") == 3
        assert system.posted(ticket_id, "r-1") == (3,)

    @pytest.mark.parametrize(
        "text",
        ["[remediate r-1 #9] said the log", "[remediate r-1 #9]\n-- \nsent by hand", "> [remediate r-1 #9]"],
    )
    def test_marker_elsewhere_in_our_own_text_does_not_count(
        self, running: RequestTracker, system: RequestTrackerTickets, ticket_id: str, text: str
    ) -> None:
        say(running, "remediate", ticket_id, text)
        assert system.last_posted(ticket_id, "r-1") == 0

    def test_ticket_that_is_not_there_shows_nothing_of_another(
        self, system: RequestTrackerTickets, ticket_id: str
    ) -> None:
        """RT answers a search in an unknown ticket with the rows of all tickets."""
        system.post(ticket_id, Post("r-77", 5, "text"))
        for ask in (system.last_posted, system.posted):
            with pytest.raises(TicketRefused, match="no such ticket"):
                ask("99999999", "r-77")

    def test_wildcards_in_a_run_id_match_only_themselves(
        self, system: RequestTrackerTickets, ticket_id: str
    ) -> None:
        system.post(ticket_id, Post("r-axb", 5, "text"))
        system.post(ticket_id, Post("R-A%B", 6, "text"))
        assert [system.last_posted(ticket_id, run) for run in ("r-a_b", "r-a%b", "R-A%B")] == [0, 0, 6]

    def test_more_entries_than_a_page(
        self, system: RequestTrackerTickets, ticket_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rt, "_PAGE", 3)
        for last in range(1, 13):
            system.post(ticket_id, Post("r-1", last, f"text of {last}"))
        assert system.posted(ticket_id, "r-1") == tuple(range(1, 13))
        assert system.last_posted(ticket_id, "r-1") == 12

    def test_entry_taken_late_does_not_set_it_back(
        self, system: RequestTrackerTickets, ticket_id: str
    ) -> None:
        for last in (1, 5, 3):
            system.post(ticket_id, Post("r-1", last, "text"))
        assert system.last_posted(ticket_id, "r-1") == 5
        assert system.posted(ticket_id, "r-1") == (1, 5, 3)

    def test_it_survives_a_merge(
        self, running: RequestTracker, system: RequestTrackerTickets, ticket_id: str
    ) -> None:
        other = str(running.create_change("Duplicate", "please", "customer"))
        system.post(ticket_id, Post("r-1", 3, "before"))
        call(running, "remediate", "PUT", f"/ticket/{ticket_id}", MergeInto=int(other))
        assert running.ticket(int(ticket_id))["id"] == int(other)
        assert system.last_posted(ticket_id, "r-1") == 3
        system.post(ticket_id, Post("r-1", 4, "after"))
        assert system.last_posted(ticket_id, "r-1") == system.last_posted(other, "r-1") == 4
        assert system.read(ticket_id).subject == "Duplicate"


class TestPost:
    def test_a_megabyte_arrives_byte_for_byte(
        self, running: RequestTracker, system: RequestTrackerTickets, ticket_id: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "dump.sql"
        file.write_bytes(os.urandom(1 << 20))
        text = tmp_path / "config.txt"
        text.write_bytes("Größe\r\n".encode("latin-1") * 50_000)
        system.post(ticket_id, Post("r-1", 1, "the backup", attachments=(file, text)))
        (entry,) = transcript_of(running, ticket_id)
        assert sorted(entry.attachments) == sorted([file.read_bytes(), text.read_bytes()])

    def test_empty_file_is_named(
        self, running: RequestTracker, system: RequestTrackerTickets, ticket_id: str, tmp_path: Path
    ) -> None:
        """RT refuses an entry with an empty attachment."""
        (tmp_path / "empty.log").touch()
        system.post(ticket_id, Post("r-1", 1, "output:", attachments=(tmp_path / "empty.log",)))
        (entry,) = transcript_of(running, ticket_id)
        assert "empty.log: an empty file" in entry.text
        assert entry.attachments == ()

    @pytest.mark.parametrize("name", ["a b.txt", "größe.log", '"; x="', ".hidden", "-rf", "0", "x" * 200])
    def test_file_names(
        self, system: RequestTrackerTickets, ticket_id: str, tmp_path: Path, name: str
    ) -> None:
        file = tmp_path / name
        file.write_bytes(b"data")
        system.post(ticket_id, Post("r-1", 1, "text", attachments=(file,)))
        assert system.last_posted(ticket_id, "r-1") == 1

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(text=st.text(max_size=300))
    def test_any_text_reads_as_it_was_written(
        self, system: RequestTrackerTickets, ticket_id: str, text: str
    ) -> None:
        last = system.last_posted(ticket_id, "r-1") + 1
        system.post(ticket_id, Post("r-1", last, text))
        assert system.last_posted(ticket_id, "r-1") == last

    def test_huge_file_is_refused_before_anything_is_sent(
        self, running: RequestTracker, system: RequestTrackerTickets, ticket_id: str, tmp_path: Path
    ) -> None:
        with (tmp_path / "huge").open("wb") as stream:
            stream.truncate(7_000_001)
        with pytest.raises(TicketRefused, match="more than 7,000,000 bytes"):
            system.post(ticket_id, Post("r-1", 1, "text", attachments=(tmp_path / "huge",)))
        assert transcript_of(running, ticket_id) == []

    def test_largest_file(self, system: RequestTrackerTickets, ticket_id: str, tmp_path: Path) -> None:
        file = tmp_path / "large"
        file.write_bytes(os.urandom(7_000_000))
        system.post(ticket_id, Post("r-1", 1, "text", attachments=(file,)))


class TestWorkflow:
    def test_started_and_finished(
        self, running: RequestTracker, system: RequestTrackerTickets, ticket_id: str
    ) -> None:
        running.approve(int(ticket_id))
        for _ in range(2):
            system.started(ticket_id, CHANGE)
        ticket = running.ticket(int(ticket_id))
        assert ticket["Status"] == "in progress"
        fields = {f["name"]: f["values"] for f in cast(list[dict[str, object]], ticket["CustomFields"])}
        assert fields == {
            "Plan digest": [f"sha256:{'a' * 64}"],
            "Risk": ["medium"],
            "Window": [CHANGE.window],
            "Customer impact": [],
        }
        system.finished(ticket_id, Final.HUMAN)
        assert running.ticket(int(ticket_id))["Status"] == "in progress"
        for _ in range(2):
            system.finished(ticket_id, Final.ORIGINAL)
        assert running.ticket(int(ticket_id))["Status"] == "rolled back"
        with pytest.raises(TicketRefused, match="can't change status from 'rolled back'"):
            system.finished(ticket_id, Final.NEW)

    def test_change_that_is_not_approved_cannot_start(
        self, running: RequestTracker, system: RequestTrackerTickets, ticket_id: str
    ) -> None:
        with pytest.raises(TicketRefused, match="can't change status from 'requested' to 'in progress'"):
            system.started(ticket_id, CHANGE)
        assert running.ticket(int(ticket_id))["Status"] == "requested"

    @pytest.mark.parametrize("change", [Change("short"), Change("a" * 64, "enormous")])
    def test_value_that_is_dropped_is_told(
        self, system: RequestTrackerTickets, ticket_id: str, change: Change
    ) -> None:
        with pytest.raises(TicketRefused, match=r"field '(Plan digest|Risk)' is \[\], not"):
            system.started(ticket_id, change)

    def test_field_that_is_not_there_is_told(self, running: RequestTracker, ticket_id: str) -> None:
        """RT drops an unknown field without a word. It does not keep the status back."""
        running.approve(int(ticket_id))
        system = RequestTrackerTickets(running.url, running.token(), fields={**FIELDS, "risk": "Rsik"})
        with pytest.raises(TicketRefused, match="field 'Rsik' is missing"):
            system.started(ticket_id, CHANGE)
        assert running.ticket(int(ticket_id))["Status"] == "in progress"
