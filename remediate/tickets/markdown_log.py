"""A Markdown log that is only appended to, and survives a crash in the middle of an entry."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

from remediate.tickets.interface import MARKER, Entry, Post, TicketAltered, TicketRefused, TicketUnreachable

_HEADER = re.compile(rb"^## \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \xc2\xb7 (?:public|internal)$", re.MULTILINE)
_HEADERS = tuple(f"## 0000-00-00 00:00:00 UTC · {label}".encode() for label in ("public", "internal"))
_MARKER = re.compile(b"^" + MARKER.pattern.encode(), re.MULTILINE)
_LINK = re.compile(r"- \[[A-Za-z0-9._-]+\]\(attachments/([A-Za-z0-9._-]+)\), .*")
_BACKTICKS = re.compile(r"`+")
_BLOCK = 64 * 1024


def harmless(text: str) -> str:
    """Text for an entry: no control or bidi character, and nothing in it that reads as a marker."""
    shown = text.replace("\r\n", "\n")
    shown = "".join(c if c.isprintable() or c in "\n\t" else _visible(c) for c in shown)
    return shown.replace("[remediate ", "[remediate\\ ")


def _visible(char: str) -> str:
    code = ord(char)
    if char.isspace() and code >= 0xA0 and char not in "\u2028\u2029":
        return char
    return chr(0x2400 + code) if code < 0x20 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """One writer at a time, over processes and threads; the lock ends with its process.

    Raises:
        TicketUnreachable: another writer kept it for ``patience`` seconds.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience
    try:
        while not _try(lock):
            if time.monotonic() >= deadline:
                raise TicketUnreachable(
                    f"{path.parent} is locked by another process", "try again when it has ended"
                )
            time.sleep(0.02)
        yield
    finally:
        os.close(lock)


def _try(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """The log, made if it isn't there, without a torn entry at its end. The caller holds the lock."""
    new = not path.exists()
    log = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if new:
            sync(path.parent)
        _repair(log, path.with_suffix(".torn.md"))
        yield log
    finally:
        os.close(log)


def numbers(log: int, run: str) -> tuple[int, ...]:
    """The numbers in the markers of this run, in the order in which they stand."""
    text = os.pread(log, os.fstat(log).st_size, 0)
    wanted = run.encode(errors="backslashreplace")
    return tuple(int(number) for name, number in _MARKER.findall(text) if name == wanted)


def entries(log: int, folder: Path, files: str) -> tuple[Entry, ...]:
    """All entries in the order in which they stand, each with what people wrote before it."""
    text, found, begin = os.pread(log, os.fstat(log).st_size, 0), [], 0
    for marker in _MARKER.finditer(text):
        chunk = text[begin : marker.start()].decode(errors="backslashreplace")
        names = [name for name in _attached(chunk) if name.endswith(files) and (folder / name).is_file()]
        contents = tuple((folder / name).read_bytes() for name in names)
        found.append(Entry(marker[1].decode(errors="backslashreplace"), int(marker[2]), chunk, contents))
        begin = marker.end()
    return tuple(found)


def _attached(chunk: str) -> list[str]:
    """Names in the links right before an entry's marker; those in its text stand inside its fence."""
    lines = (line for line in reversed(chunk.split("\n")) if line)
    return [link[1] for link in takewhile(bool, map(_LINK.fullmatch, lines)) if link][::-1]


def entry(post: Post, at: float, attachments: list[str], before: str) -> bytes:
    """One entry: time and audience, the text in a fence, attachments, marker."""
    when = datetime.fromtimestamp(at, UTC)
    text = harmless(post.text)
    # A fence longer than any in the text: nothing in it can end the block and pose as an entry.
    fence = "`" * max(3, 1 + max((len(run) for run in _BACKTICKS.findall(text)), default=0))
    lines = [
        f"## {when:%Y-%m-%d %H:%M:%S} UTC · {'public' if post.public else 'internal'}",
        "",
        f"{fence}text",
        text,
        fence,
        "",
        *attachments,
        *([""] if attachments else []),
        post.marker,
    ]
    return (before + "\n".join(lines) + "\n").encode(errors="backslashreplace")


def start(log: int, title: str) -> str:
    """What stands before the next entry: the title of a new log, or a blank line."""
    size = os.fstat(log).st_size
    if not size:
        return f"# {title}\n\n"
    return "\n" if os.pread(log, 1, size - 1) == b"\n" else "\n\n"


def append(log: int, entry: bytes) -> None:
    """The whole entry or nothing, in one write.

    Raises:
        TicketAltered: what stands there now is something else.
    """
    size = os.fstat(log).st_size
    try:
        if os.write(log, entry) != len(entry):
            raise OSError("the disk is full")
        os.fsync(log)
    except OSError:
        os.ftruncate(log, size)
        raise
    if os.pread(log, len(entry), size) != entry:
        raise TicketAltered("the log: what was read back is not what was written", "see to the disk")


def _repair(log: int, aside: Path) -> None:
    """Move the torn entry that a crash left at the end of the log out of it; what people wrote stays."""
    start, tail = _after_last_marker(log)
    at = _torn(tail)
    if at is None:
        return
    file = os.open(aside, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "ab") as stream:
        stream.write(tail[at:] + b"\n")
        stream.flush()
        os.fsync(file)
    os.ftruncate(log, start + at)
    os.fsync(log)


def _after_last_marker(log: int) -> tuple[int, bytes]:
    """The end of the log behind its last whole entry, and where that begins."""
    size = os.fstat(log).st_size
    span = _BLOCK
    while True:
        start = max(0, size - span)
        data = os.pread(log, size - start, start)
        markers = list(_MARKER.finditer(data))
        if markers or not start:
            end = markers[-1].end() if markers else 0
            return start + end, data[end:]
        span *= 4


def _torn(tail: bytes) -> int | None:
    """Where an entry without a marker begins: a header, a piece of one, or blocks that were never written."""
    found = [match.start() for match in [_HEADER.search(tail)] if match]
    found += [at for at in [tail.find(b"\0")] if at >= 0]
    last = tail.rpartition(b"\n")[2]
    shape = re.sub(rb"\d", b"0", last)
    if shape and any(header.startswith(shape) for header in _HEADERS):
        found.append(len(tail) - len(last))
    return min(found, default=None)


def attach(folder: Path, post: Post, source: Path) -> str:
    """Copy one file, durable and compared; the line that tells of it."""
    data = _contents(source)
    digest = hashlib.sha256(data).hexdigest()
    folder.mkdir(mode=0o700, exist_ok=True)
    clean = re.sub(r"[^A-Za-z0-9._-]+", "_", source.name).lstrip(".")[-100:] or "file"
    stem = f"{post.run}-{post.last}"
    name, number = f"{stem}-{clean}", 1
    # The same bytes under this name are left over from a post that a crash cut off before its entry.
    while (folder / name).exists() and (folder / name).read_bytes() != data:
        number += 1
        name = f"{stem}-{number}-{clean}"
    if not (folder / name).exists():
        write_new(folder / name, data)
    return f"- [{name}](attachments/{name}), {len(data):,} bytes, SHA-256 {digest}"


def _contents(source: Path) -> bytes:
    try:
        # Not blocking: a pipe in the place of a file would hold the run up for ever.
        file = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(file, "rb") as stream:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError("not a regular file")
            return stream.read()
    except OSError as error:
        raise TicketRefused(f"attachment {source} can't be read: {error}") from error


def write_new(path: Path, data: bytes) -> None:
    """A file with this content, whole or not there at all."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(file)
    if part.read_bytes() != data:
        raise OSError(f"{path}: what was read back is not what was written")
    part.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
