"""Tickets as folders of Markdown files: the default where there is no ticket system.

In ``ROOT/ID/``, people edit ``ticket.md``; ``log.md`` is only ever appended to.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from remediate.model.change import Priority, Ticket
from remediate.tickets import markdown_log
from remediate.tickets.interface import Entry, Post, TicketDown, TicketRefused
from remediate.tickets.markdown_log import harmless

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FIELDS = ("subject", "requester", "priority")
_MAX_TICKET = 256 * 1024


class FileTickets:
    """A ticket system (see `TicketSystem`) in a directory.

    Args:
        root: where the tickets' folders are; made with the first ticket.
        clock: epoch seconds, for the times of entries.
        patience: seconds to wait for another process that writes to the same ticket.
    """

    name = "file"

    def __init__(self, root: Path, clock: Callable[[], float] = time.time, patience: float = 10.0) -> None:
        self._root, self._clock, self._patience = root, clock, patience

    def create(
        self,
        ticket: str,
        subject: str,
        requester: str | None = None,
        priority: Priority = Priority.NORMAL,
        text: str = "",
    ) -> Ticket:
        """Open a ticket.

        Raises:
            TicketRefused: the id can't be a folder's name, or there is such a ticket already.
            TicketDown: it can't be written.
        """
        folder = self._path(ticket)
        fields = {"subject": subject, "requester": requester or "", "priority": priority.value}
        lines = [f"{key}: {_field(value)}" for key, value in fields.items()]
        content = "\n".join(["---", *lines, "---", "", text, ""])
        with _storage(ticket):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with markdown_log.locked(folder / ".lock", self._patience):
                if (folder / "ticket.md").exists():
                    raise TicketRefused(f"ticket {ticket} exists already", f"edit {folder / 'ticket.md'}")
                markdown_log.write_new(folder / "ticket.md", content.encode(errors="backslashreplace"))
            markdown_log.sync(self._root)
        return self.read(ticket)

    def read(self, ticket: str) -> Ticket:
        """Subject, requester and priority, as they stand in ``ticket.md`` now.

        Raises:
            TicketRefused: there is no such ticket, or its file can't be understood.
            TicketDown: it can't be read.
        """
        path = self._existing(ticket) / "ticket.md"
        with _storage(ticket), path.open("rb") as file:
            data = file.read(_MAX_TICKET + 1)
        if len(data) > _MAX_TICKET:
            raise TicketRefused(f"{path}: larger than {_MAX_TICKET:,} bytes", "attach files to the ticket")
        fields = _front_matter(path, data.decode(errors="replace"))
        priority = fields.get("priority") or Priority.NORMAL.value
        if priority not in list(Priority):
            known = ", ".join(Priority)
            raise TicketRefused(f"{path}: priority {priority!r} isn't one of {known}", "correct that line")
        return Ticket(
            id=ticket,
            subject=fields.get("subject", ""),
            requester=fields.get("requester") or None,
            requesters=_people(fields.get("requester", "")),
            priority=Priority(priority),
            system=self.name,
        )

    def last_posted(self, ticket: str, run: str) -> int:
        """Number of the newest event of this run that the log tells of, 0 if none.

        Raises:
            TicketRefused: there is no such ticket.
            TicketDown: it can't be read, or another process keeps it locked.
        """
        return max(self.posted(ticket, run), default=0)

    def posted(self, ticket: str, run: str) -> tuple[int, ...]:
        """The numbers in the markers of this run, in the order of the log; see `EntryList`."""
        with self._log(ticket) as log:
            return markdown_log.numbers(log, run)

    def entries(self, ticket: str, files: str) -> tuple[Entry, ...]:
        """All entries of the log; see `TicketSystem.entries`."""
        with self._log(ticket) as log:
            return markdown_log.entries(log, self._path(ticket) / "attachments", files)

    def post(self, ticket: str, post: Post) -> None:
        """Append one entry, attachments first. On return it is on the disk, read back and compared.

        Raises:
            TicketRefused: it was not taken: no such ticket, an unreadable attachment, a malformed run id.
            TicketDown: it may or may not have been taken.
        """
        if not _ID.fullmatch(post.run):
            raise TicketRefused(f"ticket {ticket}: {post.run!r} can't be the id of a run")
        with self._log(ticket) as log:
            folder = self._path(ticket) / "attachments"
            names = [markdown_log.attach(folder, post, source) for source in post.attachments]
            before = markdown_log.start(log, f"Log of ticket {ticket}")
            markdown_log.append(log, markdown_log.entry(post, self._clock(), names, before))

    def url(self, ticket: str) -> str:
        """The log as a ``file:`` address."""
        return (self._path(ticket) / "log.md").absolute().as_uri()

    @contextmanager
    def _log(self, ticket: str) -> Iterator[int]:
        folder = self._existing(ticket)
        with (
            _storage(ticket),
            markdown_log.locked(folder / ".lock", self._patience),
            markdown_log.opened(folder / "log.md") as log,
        ):
            yield log

    def _path(self, ticket: str) -> Path:
        if not _ID.fullmatch(ticket):
            raise TicketRefused(
                f"{ticket[:80]!r} can't be the id of a ticket",
                "use letters, digits, dots, dashes and underscores, at most 64",
            )
        return self._root / ticket

    def _existing(self, ticket: str) -> Path:
        folder = self._path(ticket)
        with _storage(ticket):
            found = (folder / "ticket.md").is_file()
        if not found:
            raise TicketRefused(
                f"there is no ticket {ticket} in {self._root}",
                f"create it: a file {folder / 'ticket.md'} that begins with the lines"
                " ---, subject: …, requester: …, priority: normal, ---",
            )
        return folder


def _field(value: str) -> str:
    """On one line, in quotes if it has some that reading would take off."""
    line = " ".join(harmless(value).split())
    return f'"{line}"' if line[:1] in "'\"" else line


def _people(requester: str) -> tuple[str, ...]:
    """Several people on one line; a comma within a name only makes more names, none of which is lost."""
    names = [part.strip() for part in re.split("[,;]", requester)]
    return tuple(filter(None, names)) if len(names) > 1 else ()


@contextmanager
def _storage(ticket: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TicketDown(f"ticket {ticket}: {error}", "see to the disk, then go on") from error


def _front_matter(path: Path, text: str) -> dict[str, str]:
    """``key: value`` lines between two lines of dashes; a value may hold colons and needs no quotes."""
    lines = [line.rstrip() for line in text.removeprefix("\ufeff").split("\n")]
    try:
        end = lines.index("---", 1) if lines[:1] == ["---"] else 0
    except ValueError:
        end = 0
    if not end:
        raise TicketRefused(f"{path}: it must begin with fields between two lines ---", "add them")
    fields: dict[str, str] = {}
    for number, line in enumerate(lines[1:end], 2):
        key, colon, value = line.partition(":")
        key = key.strip().lower()
        if not line.strip():
            continue
        # A misspelt requester must not vanish: who asked for a change may not approve it.
        if not colon or key not in _FIELDS or key in fields:
            near = get_close_matches(key, set(_FIELDS) - {key}, 1)
            advice = f"did you mean {near[0]}?" if near else f"write once each: {', '.join(_FIELDS)}"
            raise TicketRefused(f"{path}:{number}: unexpected line {line[:80]!r}", advice)
        value = value.strip()
        fields[key] = value[1:-1] if len(value) > 1 and value[0] == value[-1] in "'\"" else value
    return fields
