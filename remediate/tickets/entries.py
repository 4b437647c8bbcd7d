"""From journal events to the next entry of the ticket's log: in order, bounded, without secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from remediate.model.event import Event
from remediate.tickets.files import contents, leaks
from remediate.tickets.interface import Post

LINES = 50
BYTES = 30_000
#: Request Tracker keeps 10 MB unless set otherwise, and Base64 adds a third on the way.
FILE_BYTES = 7_000_000


@dataclass(frozen=True, slots=True)
class Composer:
    """What an event looks like on the ticket.

    Args:
        run: id of the run.
        render: a readable line, None for an event that the ticket does not tell of.
        attachments: files that belong to an event.
        scrub: takes secrets out of text; a file in which it finds one is not attached.
    """

    run: str
    render: Callable[[Event], str | None]
    attachments: Callable[[Event], tuple[Path, ...]]
    scrub: Callable[[str], str]
    #: Files in which no secret was found: while the ticket system is down, they are looked at many times.
    _clean: set[bytes] = field(default_factory=set)
    #: Lines by event, before they are scrubbed: what waits for its entry is looked at with each new event.
    _rendered: dict[int, str | None] = field(default_factory=dict)

    def next(self, pending: Sequence[Event], bare: int = 0) -> Post | None:
        """The first entry for these events, None if there is nothing to tell of any.

        Internal events stand together in one entry, a public one in its own. Events without a line are
        covered by the entry that follows them, or by the one they trail.

        Args:
            pending: events that the ticket does not tell of yet, in order.
            bare: up to this event, files are named but not attached.
        """
        entry: _Draft | None = None
        if not pending:
            self._rendered.clear()
        for event in pending:
            line = self._line(event)
            if line is None:
                if entry is not None and not entry.public:
                    entry = replace(entry, last=event.number)
                continue
            files, notes = self._files(event, event.number <= bare)
            text = "\n".join([line, *notes])
            size = len(text.encode(errors="backslashreplace")) + 1
            draft = _Draft(event.number, event.body.public, (text,), files, size)
            if entry is None:
                entry = draft
            elif entry.fits(draft):
                entry = entry.with_(draft)
            else:
                break
        return entry.post(self.run) if entry else None

    def _line(self, event: Event) -> str | None:
        """Scrubbed whole and then cut: a secret cut in two would not be found."""
        try:
            if event.number not in self._rendered:
                self._rendered[event.number] = self.render(event)
            line = self._rendered[event.number]
            if line is None:
                return None
            line = self.scrub(line).strip("\n") or f"({event.body.kind})"
        except Exception as error:  # one event that can't be shown must not keep back all that follow
            return f"(event #{event.number}, {event.body.kind}, can't be shown: {type(error).__name__})"
        data = line.encode(errors="backslashreplace")
        if len(data) <= BYTES:
            return line
        return f"{data[:BYTES].decode(errors='ignore')} … (cut: {len(data):,} bytes; whole in the journal)"

    def _files(self, event: Event, bare: bool) -> tuple[tuple[_File, ...], list[str]]:
        files: list[_File] = []
        notes: list[str] = []
        try:
            paths = self.attachments(event)
        except Exception as error:
            return (), [f"(attachments can't be found: {type(error).__name__})"]
        room = FILE_BYTES
        for path in paths:
            size, reason = self._usable(path, room)
            if reason or bare:
                name = self.scrub(path.name)
                notes.append(f"(not attached: {name}: {reason or 'the ticket system did not take it'})")
            else:
                files.append(_File(path, size))
                room -= size
        return tuple(files), notes

    def _usable(self, path: Path, room: int) -> tuple[int, str]:
        """Its size, or why it is not attached."""
        try:
            data = contents(path, room)
        except OSError as error:
            return 0, error.strerror or str(error)
        digest = hashlib.sha256(data).digest()
        if digest not in self._clean:
            text = data.decode(errors="replace")
            if leaks(text, self.scrub(text)):
                return 0, "it holds what looks like a secret"
            self._clean.add(digest)
        return len(data), ""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class _Draft:
    last: int
    public: bool
    lines: tuple[str, ...]
    files: tuple[_File, ...]
    size: int
    """Bytes of its lines."""

    def fits(self, more: _Draft) -> bool:
        if self.public or more.public or len(self.lines) >= LINES:
            return False
        return (
            self.size + more.size <= BYTES and sum(f.size for f in (*self.files, *more.files)) <= FILE_BYTES
        )

    def with_(self, more: _Draft) -> _Draft:
        lines, files = (*self.lines, *more.lines), (*self.files, *more.files)
        return _Draft(more.last, False, lines, files, self.size + more.size)

    def post(self, run: str) -> Post:
        paths = tuple(dict.fromkeys(file.path for file in self.files))
        return Post(run, self.last, "\n".join(self.lines), self.public, paths)
