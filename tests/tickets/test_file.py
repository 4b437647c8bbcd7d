"""The folder of Markdown files as a ticket system."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import stat
import threading
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediate.model.change import Priority
from remediate.tickets import markdown_log
from remediate.tickets.file import FileTickets
from remediate.tickets.interface import (
    EntryList,
    Post,
    TicketAltered,
    TicketDown,
    TicketRefused,
    TicketSystem,
    TicketUnreachable,
)

from .conformance import Seen, TicketConformance, Transcript

AT = 1_772_330_400.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "tickets"


@pytest.fixture
def system(root: Path) -> FileTickets:
    return FileTickets(root, clock=lambda: AT, patience=0.3)


@pytest.fixture
def ticket_id(system: FileTickets) -> str:
    return system.create("1042", "Shop answers 500: under load", "olaf", Priority.URGENT).id


@pytest.fixture
def log(root: Path, ticket_id: str) -> Path:
    return root / ticket_id / "log.md"


ENTRY = re.compile(
    r"^## \S+ \S+ UTC · (?P<label>public|internal)\n\n(?P<fence>`{3,})text\n(?P<text>.*?)\n(?P=fence)\n\n"
    r"(?P<files>(?:- \[.*\n)*)\n?\[remediate \S+ #\d+\]$",
    re.MULTILINE | re.DOTALL,
)


def read_log(folder: Path) -> list[Seen]:
    """Entries as the form of the file says, by another reader than the code under test."""
    path = folder / "log.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [
        Seen(
            match["text"],
            match["label"] == "public",
            tuple((folder / name).read_bytes() for name in re.findall(r"\]\((.*?)\)", match["files"])),
        )
        for match in ENTRY.finditer(text)
    ]


class TestFileTickets(TicketConformance):
    """The conformance suite over files."""

    @pytest.fixture
    def transcript(self, root: Path) -> Transcript:
        return lambda ticket: read_log(root / ticket)


def test_it_is_a_ticket_system(system: FileTickets) -> None:
    conforming: TicketSystem = system
    assert conforming.name == "file"
    assert isinstance(system, EntryList)


def test_entries_are_listed_in_the_order_of_the_log(system: FileTickets, ticket_id: str) -> None:
    for run, last in (("r-1", 1), ("r-2", 1), ("r-1", 4), ("r-1", 4), ("r-1", 2)):
        system.post(ticket_id, Post(run, last, "text"))
    assert system.posted(ticket_id, "r-1") == (1, 4, 4, 2)
    assert system.last_posted(ticket_id, "r-1") == 4


def test_reads_what_was_created(system: FileTickets, ticket_id: str) -> None:
    ticket = system.read(ticket_id)
    assert ticket.subject == "Shop answers 500: under load"
    assert (ticket.requester, ticket.priority) == ("olaf", Priority.URGENT)


@pytest.mark.parametrize("subject", ["'quoted'", '"q', "a: b # c", "two\nlines\x1b[31m", "---", ""])
def test_a_subject_survives(system: FileTickets, subject: str) -> None:
    assert system.create("7", subject).subject == " ".join(subject.replace("\x1b", "␛").split())


def test_creating_twice_is_refused(system: FileTickets, ticket_id: str) -> None:
    with pytest.raises(TicketRefused, match="exists already"):
        system.create(ticket_id, "again")
    assert system.read(ticket_id).subject == "Shop answers 500: under load"


def test_an_edited_ticket_is_read_afresh(system: FileTickets, root: Path, ticket_id: str) -> None:
    text = "\ufeff---\r\nSubject: edited\r\n\r\npriority: low\r\n---\r\nAnything: here\r\n"
    (root / ticket_id / "ticket.md").write_text(text, encoding="utf-8", newline="")
    ticket = system.read(ticket_id)
    assert (ticket.subject, ticket.requester, ticket.priority) == ("edited", None, Priority.LOW)


@pytest.mark.parametrize(
    ("text", "problem", "advice"),
    [
        ("subject: x\n", "must begin with fields", "add them"),
        ("---\nsubject: x\n", "must begin with fields", "add them"),
        ("", "must begin with fields", "add them"),
        ("---\nrequestor: x\n---\n", ":2: unexpected line 'requestor: x'", "did you mean requester?"),
        ("---\nsubject: a\nsubject: b\n---\n", ":3: unexpected line 'subject: b'", "once each"),
        ("---\nno colon\n---\n", ":2: unexpected line", "once each"),
        ("---\npriority: asap\n---\n", "'asap' isn't one of urgent, high, normal, low", "correct"),
        ("---\n---\n" + "x" * 300_000, "larger than", "attach"),
    ],
)
def test_a_malformed_ticket_is_refused_with_its_place(
    system: FileTickets, root: Path, ticket_id: str, text: str, problem: str, advice: str
) -> None:
    (root / ticket_id / "ticket.md").write_text(text, encoding="utf-8")
    with pytest.raises(TicketRefused) as error:
        system.read(ticket_id)
    assert problem in error.value.problem
    assert advice in error.value.advice


def test_an_unknown_ticket_says_how_to_create_it(system: FileTickets, root: Path) -> None:
    with pytest.raises(TicketRefused) as error:
        system.last_posted("77", "r-1")
    assert str(root / "77" / "ticket.md") in error.value.advice
    assert not (root / "77").exists()


@pytest.mark.parametrize("run", ["", "r 1", "../r", "r/1", "r]", "ř-1", "r\n1"])
def test_a_run_id_that_breaks_the_marker_is_refused(system: FileTickets, ticket_id: str, run: str) -> None:
    with pytest.raises(TicketRefused):
        system.post(ticket_id, Post(run, 1, "text"))


def test_the_log_reads_well(system: FileTickets, log: Path, ticket_id: str, tmp_path: Path) -> None:
    (tmp_path / "plan.html").write_text("<p>plan</p>")
    system.post(ticket_id, Post("r-1", 3, "backup done", attachments=(tmp_path / "plan.html",)))
    system.post(ticket_id, Post("r-1", 4, "The shop is back.", public=True))
    digest = "5cc6af4bdd7bb1cd8c7d4b2ceaf0ce14e1b3ba37f5bd6e0e0b9f5a9b41b8e1d4"
    text = re.sub(r"SHA-256 [0-9a-f]{64}", f"SHA-256 {digest}", log.read_text(encoding="utf-8"))
    assert text == (
        "# Log of ticket 1042\n\n"
        "## 2026-03-01 02:00:00 UTC · internal\n\n```text\nbackup done\n```\n\n"
        f"- [r-1-3-plan.html](attachments/r-1-3-plan.html), 11 bytes, SHA-256 {digest}\n\n"
        "[remediate r-1 #3]\n\n"
        "## 2026-03-01 02:00:00 UTC · public\n\n```text\nThe shop is back.\n```\n\n[remediate r-1 #4]\n"
    )


def test_files_are_private(system: FileTickets, root: Path, ticket_id: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    system.post(ticket_id, Post("r-1", 1, "text", attachments=(tmp_path / "a",)))
    for path in (root / ticket_id).rglob("*"):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_attachments_of_one_name_are_all_kept(
    system: FileTickets, root: Path, ticket_id: str, tmp_path: Path
) -> None:
    files = [tmp_path / folder / "report.txt" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text(file.parent.name)
    system.post(ticket_id, Post("r-1", 1, "text", attachments=tuple(files)))
    (seen,) = read_log(root / ticket_id)
    assert seen.attachments == (b"a", b"b")


def test_an_attachment_that_is_a_pipe_does_not_hang(
    system: FileTickets, ticket_id: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TicketRefused, match="not a regular file"):
        system.post(ticket_id, Post("r-1", 1, "text", attachments=(tmp_path / "pipe",)))


SNIPPETS = [
    "[remediate r-1 #9]",
    "[remediate ",
    "r-1 #9]",
    "\n",
    "\r\n",
    "```",
    "````",
    "\0",
    "\ud800",
    "#",
    "]",
]
HEADER_LINE = "\n## 2026-03-01 02:00:00 UTC · public\n"
hostile = st.lists(st.sampled_from([*SNIPPETS, HEADER_LINE]) | st.text(max_size=5), max_size=30).map("".join)


@settings(deadline=None, max_examples=200)
@given(text=hostile, more=hostile)
def test_no_text_poses_as_an_entry(tmp_path_factory: pytest.TempPathFactory, text: str, more: str) -> None:
    system = FileTickets(tmp_path_factory.mktemp("tickets"))
    system.create("1", "x", text=more)
    system.post("1", Post("r-1", 1, text))
    assert system.last_posted("1", "r-1") == 1
    system.post("1", Post("r-1", 2, more))
    assert system.last_posted("1", "r-1") == 2
    folder = Path(system.url("1").removeprefix("file://")).parent
    assert len(read_log(folder)) == 2
    assert not (folder / "log.torn.md").exists()


# -- crashes: the log is cut at every byte of its last entry --


@pytest.mark.fault("ticket", "during", "half-applied", "stands once")
def test_a_torn_entry_goes_and_nothing_else(system: FileTickets, log: Path, ticket_id: str) -> None:
    system.post(ticket_id, Post("r-1", 1, "first"))
    whole = log.read_bytes()
    system.post(ticket_id, Post("r-1", 2, "second\n## 2026-03-01 02:00:00 UTC · public\ntext"))
    both = log.read_bytes()
    for length in range(len(whole), len(both) + 1):
        log.write_bytes(both[:length])
        complete = length >= len(both) - 1
        assert system.last_posted(ticket_id, "r-1") == (2 if complete else 1), length
        system.post(ticket_id, Post("r-1", 3, "third"))
        text = [seen.text for seen in read_log(log.parent)]
        assert text == (["first", both_text(both), "third"] if complete else ["first", "third"]), length
        assert log.read_bytes().startswith(whole)


def both_text(both: bytes) -> str:
    """The text of the second entry."""
    return list(ENTRY.finditer(both.decode()))[1]["text"]


@pytest.mark.fault("ticket", "before", "half-applied", "stands once")
def test_a_torn_first_entry(system: FileTickets, log: Path, ticket_id: str) -> None:
    system.post(ticket_id, Post("r-1", 1, "first"))
    whole = log.read_bytes()
    for length in range(len(whole) - 1):
        log.write_bytes(whole[:length])
        assert system.last_posted(ticket_id, "r-1") == 0, length
        system.post(ticket_id, Post("r-1", 1, "first"))
        assert [seen.text for seen in read_log(log.parent)] == ["first"], length


def test_what_is_cut_off_is_kept_aside(system: FileTickets, log: Path, ticket_id: str) -> None:
    system.post(ticket_id, Post("r-1", 1, "first"))
    torn = b"\n## 2026-03-01 02:00:00 UTC \xc2\xb7 internal\n\n```text\nhalf of a tex"
    log.write_bytes(log.read_bytes() + torn)
    assert system.last_posted(ticket_id, "r-1") == 1
    assert b"half of a tex" in (log.parent / "log.torn.md").read_bytes()
    assert b"half of a tex" not in log.read_bytes()


@pytest.mark.fault("ticket", "during", "truncated", "stands once")
def test_blocks_that_were_never_written_are_cut_off(system: FileTickets, log: Path, ticket_id: str) -> None:
    system.post(ticket_id, Post("r-1", 1, "first"))
    whole = log.read_bytes()
    log.write_bytes(whole + b"\0" * 4096)
    assert system.last_posted(ticket_id, "r-1") == 1
    assert log.read_bytes() == whole


@pytest.mark.parametrize(
    "note", ["A note by hand.\n", "## Note by Bob\n\ntext\n", "no line feed at the end", "```\nopen fence\n"]
)
def test_what_people_write_stays(system: FileTickets, log: Path, ticket_id: str, note: str) -> None:
    system.post(ticket_id, Post("r-1", 1, "first"))
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n{note}")
    before = log.read_bytes()
    assert system.last_posted(ticket_id, "r-1") == 1
    system.post(ticket_id, Post("r-1", 2, "second"))
    assert log.read_bytes().startswith(before)
    assert system.last_posted(ticket_id, "r-1") == 2


def test_a_long_log_is_looked_through_from_its_end(
    system: FileTickets, log: Path, ticket_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markdown_log, "_BLOCK", 64)
    for number in range(1, 6):
        system.post(ticket_id, Post("r-1", number, "x" * 1000 * number))
    log.write_bytes(log.read_bytes() + b"\n## 2026-03-01 02:00:00 UTC \xc2\xb7 internal\n" + b"y" * 5000)
    assert system.last_posted(ticket_id, "r-1") == 5
    assert len(read_log(log.parent)) == 5
    assert b"y" not in log.read_bytes()


def test_a_full_disk_leaves_the_log_as_it_was(
    system: FileTickets, log: Path, ticket_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.post(ticket_id, Post("r-1", 1, "first"))
    before = log.read_bytes()
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
    with pytest.raises(TicketDown, match="disk is full"):
        system.post(ticket_id, Post("r-1", 2, "second"))
    assert log.read_bytes() == before

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(TicketDown, match="No space left"):
        system.post(ticket_id, Post("r-1", 2, "second"))
    assert log.read_bytes() == before


def test_an_entry_that_reads_back_otherwise_is_told(
    system: FileTickets, ticket_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data.replace(b"text", b"tixt")))
    with pytest.raises(TicketAltered):
        system.post(ticket_id, Post("r-1", 1, "text"))


def test_an_attachment_left_over_from_a_crash_is_used_again(
    system: FileTickets, root: Path, ticket_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("content")
    post = Post("r-1", 1, "text", attachments=(tmp_path / "a",))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(markdown_log, "append", crash)
        with pytest.raises(KeyboardInterrupt):
            system.post(ticket_id, post)
    assert system.last_posted(ticket_id, "r-1") == 0
    system.post(ticket_id, post)
    assert [path.name for path in (root / ticket_id / "attachments").iterdir()] == ["r-1-1-a"]
    assert read_log(root / ticket_id)[0].attachments == (b"content",)


# -- two writers --


def test_a_locked_ticket_is_down_not_hung(system: FileTickets, root: Path, ticket_id: str) -> None:
    with (
        markdown_log.locked(root / ticket_id / ".lock", 0.1),
        pytest.raises(TicketUnreachable, match="locked"),
    ):
        system.post(ticket_id, Post("r-1", 1, "text"))


def _write(root: Path, ticket: str, run: str, count: int) -> None:
    system = FileTickets(root)
    for number in range(1, count + 1):
        system.post(ticket, Post(run, number, f"{run} {number} " + "x" * 5000))


@pytest.mark.fault("ticket", "during", "duplicate", "stands once")
def test_writers_in_threads_and_processes_do_not_tear_entries(
    system: FileTickets, root: Path, ticket_id: str
) -> None:
    context = multiprocessing.get_context("spawn")
    runs = [f"r-{n}" for n in range(4)]
    workers: list[threading.Thread | SpawnProcess] = [
        *(threading.Thread(target=_write, args=(root, ticket_id, run, 15)) for run in runs[:2]),
        *(context.Process(target=_write, args=(root, ticket_id, run, 15)) for run in runs[2:]),
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [system.last_posted(ticket_id, run) for run in runs] == [15] * 4
    texts = [seen.text.split()[:2] for seen in read_log(root / ticket_id)]
    for run in runs:
        assert [number for name, number in texts if name == run] == [str(n) for n in range(1, 16)]
