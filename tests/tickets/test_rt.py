"""Request Tracker as a ticket system, over a real one."""

from __future__ import annotations

import contextlib
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
from .rt_lab import REOPENING, STOCK, call, create, group, say, transcript_of

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
        ticket = create(running, STOCK, "customer", subject="Größe", priority=priority.value)
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

    def test_all_requestors_are_told_under_all_their_names(
        self, running: RequestTracker, system: RequestTrackerTickets
    ) -> None:
        found = system.read(
            create(running, STOCK, "customer", "carol@lab.example", "New.Person@else.example")
        )
        assert found.requester == "customer@customer.example, carol@lab.example, New.Person@else.example"
        assert set(found.asked_by) >= {"customer", "carol", "carol@lab.example", "New.Person@else.example"}

    def test_group_that_asks_is_its_members(
        self, running: RequestTracker, system: RequestTrackerTickets, ticket_id: str
    ) -> None:
        """If they can't be seen, any of them might be the approver."""
        managers = group(running, "Change managers")
        call(running, "remediate", "PUT", f"/ticket/{ticket_id}", Requestor=["customer", managers])
        assert set(system.read(ticket_id).asked_by) >= {"customer", "carol", "carol@lab.example", "dan"}
        blind = RequestTrackerTickets(running.url, running.token("carol"))
        with pytest.raises(TicketRefused, match="a group asked for this ticket") as refusal:
            blind.read(ticket_id)
        assert "SeeGroup" in refusal.value.advice

    def test_ticket_without_requestor(self, running: RequestTracker, system: RequestTrackerTickets) -> None:
        ticket = create(running, STOCK)
        call(running, "remediate", "PUT", f"/ticket/{ticket}", Requestor=[])
        assert system.read(ticket).requester is None

    def test_account_that_may_not_comment(self, running: RequestTracker, ticket_id: str) -> None:
        theirs = RequestTrackerTickets(running.url, running.token("customer"))
        with pytest.raises(TicketRefused, match="not write its log") as refusal:
            theirs.read(ticket_id)
        assert "CommentOnTicket" in refusal.value.advice


class TestCursor:
    def test_quotation_of_a_marker_does_not_count(
        self, running: RequestTracker, system: RequestTrackerTickets, ticket_id: str
    ) -> None:
        system.post(ticket_id, Post("r-1", 3, "ours", public=True))
        for user in ("customer", "alice", "carol"):
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
        for last in range(1, 8):
            system.post(ticket_id, Post("r-1", last, f"text of {last}"))
        assert system.posted(ticket_id, "r-1") == tuple(range(1, 8))
        assert system.last_posted(ticket_id, "r-1") == 7

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
        other = create(running, STOCK, subject="Duplicate")
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

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(texts=st.lists(st.text(max_size=300), min_size=1, max_size=5))
    def test_any_text_reads_as_it_was_written(
        self, system: RequestTrackerTickets, ticket_id: str, texts: list[str]
    ) -> None:
        """`post` itself compares; several texts share an entry, for each takes a third of a second."""
        last = system.last_posted(ticket_id, "r-1") + 1
        system.post(ticket_id, Post("r-1", last, "\n".join(texts)))
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
    @pytest.fixture
    def ticket_id(self, rt_change: str) -> str:
        return rt_change

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
        for refused in (Final.NEW, Final.HUMAN):
            with pytest.raises(TicketRefused, match="can't change status from 'rolled back'"):
                system.finished(ticket_id, refused)

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


class TestRollbackOfWhatWasResolved:
    """From one ending to the other, as far as the queue's lifecycle leads."""

    def ended(self, running: RequestTracker, system: RequestTrackerTickets, queue: str) -> str:
        ticket = create(running, queue, "customer")
        with contextlib.suppress(TicketRefused):  # these queues don't have our fields
            system.started(ticket, CHANGE)
        assert system.finished(ticket, Final.NEW)
        assert running.ticket(int(ticket))["Status"] == "resolved"
        return ticket

    def moves(self, running: RequestTracker, ticket: str) -> list[tuple[str, str]]:
        path = f"/ticket/{ticket}/history?per_page=100&fields=Type,OldValue,NewValue"
        rows = cast(dict[str, list[dict[str, str]]], call(running, "remediate", "GET", path))["items"]
        return [(row["OldValue"], row["NewValue"]) for row in rows if row["Type"] == "Status"]

    def test_lifecycle_that_comes_with_request_tracker(self, running: RequestTracker) -> None:
        names = {"started": "open", "verified-new": "resolved", "verified-original": "rejected"}
        system = RequestTrackerTickets(running.url, running.token(), statuses=names, fields={})
        ticket = self.ended(running, system, STOCK)
        assert [system.finished(ticket, Final.ORIGINAL) for _ in range(2)] == [True, False]
        assert [system.finished(ticket, Final.HUMAN) for _ in range(2)] == [True, False]
        assert self.moves(running, ticket) == [
            ("new", "open"),
            ("open", "resolved"),
            ("resolved", "rejected"),
            ("rejected", "open"),
        ]

    def test_lifecycle_that_leads_there_by_way_of_in_progress(
        self, running: RequestTracker, system: RequestTrackerTickets
    ) -> None:
        ticket = self.ended(running, system, REOPENING)
        assert [system.finished(ticket, Final.ORIGINAL) for _ in range(2)] == [True, False]
        assert self.moves(running, ticket)[2:] == [
            ("resolved", "in progress"),
            ("in progress", "rolled back"),
        ]

    def test_lifecycle_that_ends_there(
        self, running: RequestTracker, system: RequestTrackerTickets, rt_change: str
    ) -> None:
        running.approve(int(rt_change))
        system.started(rt_change, CHANGE)
        system.finished(rt_change, Final.NEW)
        with pytest.raises(TicketRefused, match="can't change status from 'resolved' to 'rolled back'"):
            system.finished(rt_change, Final.ORIGINAL)
        assert running.ticket(int(rt_change))["Status"] == "resolved"

    def test_statuses_without_a_name_are_left_alone(self, running: RequestTracker, ticket_id: str) -> None:
        system = RequestTrackerTickets(running.url, running.token(), statuses={}, fields={"digest": ""})
        system.started(ticket_id, CHANGE)
        assert not any(system.finished(ticket_id, final) for final in Final)
        assert self.moves(running, ticket_id) == []
