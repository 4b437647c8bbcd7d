"""Reads a ticket's log as a person would: entries, their lines, their markers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.world import World

_ENTRY = re.compile(
    r"^## \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC · (?P<who>public|internal)\n\n"
    r"(?P<fence>`{3,})text\n(?P<text>.*?)\n(?P=fence)\n(?P<files>.*?)"
    r"^\[remediate (?P<run>\S+) #(?P<last>\d+)\]$",
    re.MULTILINE | re.DOTALL,
)
MARK = re.compile(r"^\[remediate (\S+) #(\d+)\]\s*\Z", re.MULTILINE)
_FILE = re.compile(r"^- \[([^\]]+)\]\(attachments/", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """One entry of the log."""

    run: str
    last: int
    public: bool
    text: str
    attachments: tuple[str, ...] = ()


def entries(log: str) -> list[Entry]:
    """All entries, in order."""
    return [
        Entry(m["run"], int(m["last"]), m["who"] == "public", m["text"], tuple(_FILE.findall(m["files"])))
        for m in _ENTRY.finditer(log)
    ]


def internal_lines(found: Sequence[Entry], run: str) -> list[str]:
    """What entries tell engineers of one run, line by line."""
    return [line for e in found if e.run == run and not e.public for line in e.text.splitlines()]


def complete(world: World, run: str = "", found: Sequence[Entry] | None = None) -> None:
    """The ticket tells of every event of a run, once and in order, up to the last.

    Args:
        found: its entries; default: those of the file ticket T-1.
    """
    run = run or world.run
    events = world.events(run)
    if found is None:
        log = world.ticket_log()
        found = entries(log)
        assert len(found) == log.count("\n[remediate "), "every entry can be read"
    ours = [e for e in found if e.run == run]
    numbers = [e.last for e in ours]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == events[-1].number
    public = [e.number for e in events if e.kind in ("progress", "run-finished")]
    assert [e.last for e in ours if e.public] == public
    shown = world.cli("log", run).expect(0).out.splitlines()
    assert len(shown) == len(events)
    expected = [line for e, line in zip(events, shown, strict=True) if e.number not in public]
    assert internal_lines(found, run) == expected
