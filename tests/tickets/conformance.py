"""What every ticket system has to hold to, whatever is behind it.

Subclass `TicketConformance` in a test module and give it the fixtures ``system``, ``ticket_id`` (a fresh
ticket) and ``transcript``; the other fixtures can be overridden where a system has other ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from remediate.errors import RemediateError
from remediate.tickets.interface import Post, TicketDown, TicketRefused, TicketSystem


@dataclass(frozen=True)
class Seen:
    """One entry of ours as a reader of the ticket finds it, attachments by any name."""

    text: str
    public: bool
    attachments: tuple[bytes, ...] = ()


#: What somebody might write to pose as an entry of the log, on one ticket.
MARKERS = (
    "[remediate {run} #999]",
    "  [remediate {run} #999]   ",
    "text\n[remediate {run} #999]\nmore",
    "text\r\n[remediate {run} #999]\r\nmore",
    "[remediate r-other #5]\n[remediate {run} #999]\n\n",
    "[remediate {run} #٩٩٩]",
    "```\n[remediate {run} #999]\n```",
    "## 2026-03-01 02:00:00 UTC · public\n\n```text\nfake\n```\n\n[remediate {run} #999]",
    "[remediate\u00a0{run} #999]",
    "\\[remediate {run} #999]",
)
Transcript = Callable[[str], Sequence[Seen]]
"""Our entries on a ticket, oldest first, read by other means than the system under test where there are."""


def deliver(system: TicketSystem, ticket: str, posts: Iterable[Post]) -> None:
    """The outbox's protocol: ask how far the ticket is, post only what is newer."""
    for post in posts:
        if post.last > system.last_posted(ticket, post.run):
            system.post(ticket, post)


class ReplyLost:
    """The system under test behind a line that takes some posts and loses the reply."""

    def __init__(self, system: TicketSystem, lose: set[int]) -> None:
        self.name = system.name
        self._system, self._lose = system, lose
        self.read, self.last_posted, self.url = system.read, system.last_posted, system.url
        self.entries = system.entries

    def post(self, ticket: str, post: Post) -> None:
        """Post; then the connection drops, once for each number in ``lose``."""
        self._system.post(ticket, post)
        if post.last in self._lose:
            self._lose.discard(post.last)
            raise TicketDown("the reply was lost")


class TicketConformance:
    """Test methods; see the module's docstring for the fixtures."""

    @pytest.fixture
    def run_id(self) -> str:
        return "r-7c1e"

    @pytest.fixture
    def unknown_ticket(self) -> str:
        return "99999999"

    def test_a_fresh_ticket_has_no_entry(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript
    ) -> None:
        assert system.last_posted(ticket_id, run_id) == 0
        assert list(transcript(ticket_id)) == []

    def test_reads_the_ticket(self, system: TicketSystem, ticket_id: str) -> None:
        ticket = system.read(ticket_id)
        assert ticket.id == ticket_id
        assert ticket.subject
        assert ticket.system == system.name

    def test_has_an_address(self, system: TicketSystem, ticket_id: str) -> None:
        assert "://" in system.url(ticket_id)
        assert ticket_id in system.url(ticket_id)

    def test_entries_stand_in_order_and_are_counted(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript
    ) -> None:
        for last in (1, 2, 9, 10, 117):
            system.post(ticket_id, Post(run_id, last, f"text of {last}"))
            assert system.last_posted(ticket_id, run_id) == last
        found = [seen.text for seen in transcript(ticket_id)]
        assert len(found) == 5
        assert all(f"text of {n}" in text for n, text in zip((1, 2, 9, 10, 117), found, strict=True))

    def test_runs_do_not_mix(self, system: TicketSystem, ticket_id: str) -> None:
        system.post(ticket_id, Post("r-1", 5, "the first run"))
        system.post(ticket_id, Post("r-12", 3, "another run, whose id begins alike"))
        system.post(ticket_id, Post("r-1", 6, "the first run again"))
        assert [system.last_posted(ticket_id, run) for run in ("r-1", "r-12", "r-", "r-2")] == [6, 3, 0, 0]

    def test_audiences_are_kept_apart(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript
    ) -> None:
        system.post(ticket_id, Post(run_id, 1, "for engineers"))
        system.post(ticket_id, Post(run_id, 2, "for the customer", public=True))
        system.post(ticket_id, Post(run_id, 3, "for engineers again"))
        assert [seen.public for seen in transcript(ticket_id)] == [False, True, False]
        assert system.last_posted(ticket_id, run_id) == 3

    def test_attachments_arrive_byte_for_byte(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript, tmp_path: Path
    ) -> None:
        contents = (bytes(range(256)) * 300, b"line\r\nline\n\n", "Größe — 大きさ".encode())
        files = [tmp_path / name for name in ("a dump.bin", "notes.txt", "größe.md")]
        for file, content in zip(files, contents, strict=True):
            file.write_bytes(content)
        system.post(ticket_id, Post(run_id, 1, "see the files", attachments=tuple(files)))
        (seen,) = transcript(ticket_id)
        assert sorted(seen.attachments) == sorted(contents)
        assert system.last_posted(ticket_id, run_id) == 1

    def test_an_unreadable_attachment_posts_nothing(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript, tmp_path: Path
    ) -> None:
        missing = tmp_path / "missing.txt"
        with pytest.raises(RemediateError):
            system.post(ticket_id, Post(run_id, 1, "see the file", attachments=(missing,)))
        assert system.last_posted(ticket_id, run_id) == 0
        assert list(transcript(ticket_id)) == []

    def test_a_marker_in_the_text_is_no_marker(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript
    ) -> None:
        for number, fake in enumerate(MARKERS):
            run = f"{run_id}-{number}"
            for last, before in ((1, "before "), (2, "")):
                system.post(ticket_id, Post(run, last, before + fake.format(run=run)))
                assert system.last_posted(ticket_id, run) == last, fake
        assert system.last_posted(ticket_id, "r-other") == 0
        assert len(transcript(ticket_id)) == 2 * len(MARKERS)

    @pytest.mark.parametrize(
        "text",
        [
            "\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link\x1b]8;;\x07 \x00\x08\x7f\x9b",
            "\u202egnp.exe\u202c \u200b\u2066\u2069",
            "<script>alert(1)</script> <b onclick=x>bold</b> &amp; {{ 7 * 7 }} %s %n",
            "# heading\n---\n* list\n> quote\n| a | b |\n```\ncode\n````\n~~~",
            "RT-Control: x\nSubject: y\n\n.\nFrom here",
        ],
    )
    def test_hostile_text_is_kept_without_harm(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript, text: str
    ) -> None:
        system.post(ticket_id, Post(run_id, 1, f"first word\n{text}\nlast word"))
        system.post(ticket_id, Post(run_id, 2, "afterwards"))
        assert system.last_posted(ticket_id, run_id) == 2
        hostile, after = transcript(ticket_id)
        assert "first word" in hostile.text
        assert "last word" in hostile.text
        assert "afterwards" in after.text
        assert not any(c in hostile.text for c in "\x1b\x07\x00\x08\x9b\u202e\u2066")

    def test_unicode_arrives(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript
    ) -> None:
        text = "Größe → 1,5 größer; 大きさ; Ωμέγα; 🚀; “quoted” — ✓"
        system.post(ticket_id, Post(run_id, 1, text))
        assert text in transcript(ticket_id)[0].text

    @pytest.mark.parametrize("ending", ["\n", "\r\n"])
    def test_lines_stay_lines(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript, ending: str
    ) -> None:
        system.post(ticket_id, Post(run_id, 1, ending.join(["one", "", "two", "three"])))
        lines = [line.strip() for line in transcript(ticket_id)[0].text.splitlines()]
        start = lines.index("one")
        assert lines[start : start + 4] == ["one", "", "two", "three"]

    def test_a_long_text_arrives_whole(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript
    ) -> None:
        lines = [f"{number:05d} {'x' * 93}" for number in range(1024)]
        system.post(ticket_id, Post(run_id, 1, "\n".join(lines)))
        assert system.last_posted(ticket_id, run_id) == 1
        assert "\n".join(lines) in transcript(ticket_id)[0].text

    def test_an_unknown_ticket_is_refused(
        self, system: TicketSystem, unknown_ticket: str, run_id: str
    ) -> None:
        with pytest.raises(TicketRefused) as error:
            system.read(unknown_ticket)
        assert unknown_ticket in error.value.problem
        with pytest.raises(TicketRefused):
            system.post(unknown_ticket, Post(run_id, 1, "text"))

    @pytest.mark.parametrize("hostile", ["../1", "1/../1", "", "a b", "1\n2", "/etc", "1?x=y", "1#2", "٣"])
    def test_an_id_cannot_reach_elsewhere(self, system: TicketSystem, hostile: str, run_id: str) -> None:
        with pytest.raises(TicketRefused):
            system.read(hostile)
        with pytest.raises(TicketRefused):
            system.post(hostile, Post(run_id, 1, "text"))

    def test_a_lost_reply_makes_no_double(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript
    ) -> None:
        posts = [Post(run_id, last, f"text of {last}") for last in (2, 4, 5, 8)]
        line = ReplyLost(system, {2, 5})
        for _ in range(3):
            try:
                deliver(line, ticket_id, posts)
            except TicketDown:
                continue
        assert [
            f"text of {n}" in seen.text for n, seen in zip((2, 4, 5, 8), transcript(ticket_id), strict=True)
        ]
        assert system.last_posted(ticket_id, run_id) == 8

    def test_a_new_outbox_goes_on_where_the_ticket_is(
        self, system: TicketSystem, ticket_id: str, run_id: str, transcript: Transcript
    ) -> None:
        posts = [Post(run_id, last, f"text of {last}") for last in range(1, 6)]
        deliver(system, ticket_id, posts[:3])
        deliver(system, ticket_id, posts)
        deliver(system, ticket_id, posts)
        assert len(transcript(ticket_id)) == 5

    def test_entries_are_read_back_for_an_audit(
        self, system: TicketSystem, ticket_id: str, run_id: str, tmp_path: Path
    ) -> None:
        for name, content in {
            "a.note.json": b'{"a": 1}',
            "b.note.json": b"\xff\x00",
            "page.html": b"<p>",
        }.items():
            (tmp_path / name).write_bytes(content)
        files = tuple(tmp_path / name for name in ("a.note.json", "page.html", "b.note.json"))
        fake = "text\n- [z.note.json](attachments/z.note.json), 1 bytes, SHA-256 00"
        system.post(ticket_id, Post(run_id, 2, "for engineers", attachments=files))
        system.post(ticket_id, Post("r-other", 1, fake, public=True))
        system.post(ticket_id, Post(run_id, 5, "without files"))
        found = system.entries(ticket_id, ".note.json")
        assert [(e.run, e.last) for e in found] == [(run_id, 2), ("r-other", 1), (run_id, 5)]
        assert [sorted(e.files) for e in found] == [[b'{"a": 1}', b"\xff\x00"], [], []]
        assert all(text in e.text for e, text in zip(found, ("engineers", "z.note", "without"), strict=True))
        assert system.entries(ticket_id, "page.html")[0].files == (b"<p>",)

    def test_a_fresh_ticket_has_nothing_to_audit(
        self, system: TicketSystem, ticket_id: str, unknown_ticket: str
    ) -> None:
        assert system.entries(ticket_id, "") == ()
        with pytest.raises(TicketRefused):
            system.entries(unknown_ticket, "")
