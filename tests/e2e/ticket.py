"""Reads a ticket's log as a person would: entries, their lines, their markers."""

from __future__ import annotations

import re
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


def internal_lines(log: str, run: str) -> list[str]:
    """What it tells engineers of one run, line by line."""
    return [line for e in entries(log) if e.run == run and not e.public for line in e.text.splitlines()]


def markers(log: str, run: str) -> list[int]:
    """Numbers of the newest event in each entry of a run."""
    return [entry.last for entry in entries(log) if entry.run == run]


def complete(world: World, run: str = "") -> None:
    """The ticket tells of every event of a run, once and in order, up to the last."""
    run = run or world.run
    log, events = world.ticket_log(), world.events(run)
    assert len(entries(log)) == log.count("\n[remediate "), "every entry can be read"
    numbers = markers(log, run)
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == events[-1].number
    public = [e.number for e in events if e.kind in ("progress", "run-finished")]
    assert [e.last for e in entries(log) if e.run == run and e.public] == public
    shown = world.cli("log", run).expect(0).out.splitlines()
    assert len(shown) == len(events)
    expected = [line for e, line in zip(events, shown, strict=True) if e.number not in public]
    assert internal_lines(log, run) == expected
