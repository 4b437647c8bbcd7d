"""A ticket that is a file on a disk without room: the log stays as it was, and goes on when there is some."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from remediate.lab.command import run
from remediate.model.change import Priority
from remediate.tickets.file import FileTickets
from remediate.tickets.interface import Post, TicketDown

pytestmark = pytest.mark.lab

PAGE = 4096


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of a quarter of a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=256k", "faults", folder)
    yield folder
    run("umount", "--lazy", folder)


def fill(folder: Path, left: int) -> Path:
    """All but so many bytes."""
    file = folder / "full"
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(b"x" * PAGE):
            pass
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.truncate(size - left)
    return file


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(0, marks=pytest.mark.fault("ticket", "before", "disk full", "stands once")),
        pytest.param(2 * PAGE, marks=pytest.mark.fault("ticket", "during", "disk full", "stands once")),
    ],
    ids=["no room", "room for a part"],
)
def test_no_room(small: Path, left: int) -> None:
    system = FileTickets(small / "tickets", patience=0.3)
    ticket = system.create("7", "s", "eve", Priority.NORMAL).id
    system.post(ticket, Post("r-1", 1, "first"))
    log = small / "tickets" / ticket / "log.md"
    # The last page of the log is full, too: every byte more needs another one.
    system.post(ticket, Post("r-1", 2, "x" * (PAGE - 100)))
    before = log.read_bytes()
    full = fill(small, left)
    entry = Post("r-1", 3, "y" * 5 * PAGE)
    with pytest.raises(TicketDown, match=r"disk is full|No space left"):
        system.post(ticket, entry)
    assert log.read_bytes() == before
    full.unlink()
    assert system.last_posted(ticket, "r-1") == 2
    system.post(ticket, entry)
    assert system.posted(ticket, "r-1") == (1, 2, 3)
