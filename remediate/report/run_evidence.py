"""What a run's report rests on: decisions by people, what was found, and the place in the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from remediate.model.event import (
    Accepted,
    Decided,
    Event,
    Held,
    Inspected,
    Overwrite,
    Probed,
    Requested,
    Revoked,
    RunStarted,
    Unfit,
    Unread,
)
from remediate.model.plan import Plan
from remediate.report.document import Block, Cell, Heading, Paragraph, Style, facts, table
from remediate.report.lines import one_line, title
from remediate.report.words import VERDICTS, count, effect, instant

_MAX_ROWS = 200


def decisions(plan: Plan, events: Sequence[Event]) -> Iterator[Block]:
    """Who approved, asked for something, or settled a doubt."""
    rows: list[list[str]] = []
    for event in events:
        match event.body:
            case RunStarted(approvals=approvals):
                rows += [
                    [instant(event.at), name, "approved the plan (counted at the start)"]
                    for name in approvals
                ]
            case Requested(what=what, by=by):
                rows.append([instant(event.at), by, f"asked for: {what.value}"])
            case Decided(by=by, step=step, target=target, verdict=verdict):
                rows.append(
                    [instant(event.at), by, f"{title(step, plan)} on {target}: {VERDICTS[verdict]} (signed)"]
                )
            case Overwrite(by=by, step=step, target=target):
                text = f"{title(step, plan)} on {target}: the undo may overwrite what others changed (signed)"
                rows.append([instant(event.at), by, text])
            case Accepted(by=by, target=target):
                rows.append([instant(event.at), by, f"keeps {target} as it is (signed)"])
            case Revoked(by=by):
                rows.append([instant(event.at), by, "took the approval back"])
            case _:
                pass
    yield Heading("Decisions by people")
    yield table(["Time", "Who", "What"], rows) if rows else Paragraph("None.")


def findings(plan: Plan, events: Sequence[Event]) -> Iterator[Block]:
    """What was not as it should be, and what the probes of steps in doubt rest on."""
    rows: list[list[str | Cell]] = [
        [instant(event.at), target, what, Cell(one_line(found), Style.CODE)]
        for event in events
        for target, what, found in _finding(plan, event)
    ]
    if not rows:
        return
    yield Heading("What was found")
    yield table(["Time", "On", "What", "Evidence"], rows[:_MAX_ROWS])
    if len(rows) > _MAX_ROWS:
        yield Paragraph(f"… {count(len(rows) - _MAX_ROWS, 'more finding')}, in the journal.")


def _finding(plan: Plan, event: Event) -> Iterator[tuple[str, str, str]]:
    match event.body:
        case Inspected(ok=False, target=target, difference=difference):
            yield target, "not as approved", difference
        case Held(verb=verb, step=step, target=target, difference=difference):
            yield target, f"{effect(verb, title(step, plan))}: not begun", difference
        case Probed(verb=verb, step=step, target=target, verdict=verdict, evidence=evidence):
            yield target, f"{effect(verb, title(step, plan))}: {VERDICTS[verdict]}", evidence
        case Unfit(target=target, difference=difference) if difference:
            yield target, "acceptance", difference
        case Unread(target=target, why=why):
            yield target, "could not be read back", why
        case _:
            pass


def proof(events: Sequence[Event]) -> Iterator[Block]:
    """Which records of the journal this page was made from."""
    yield Heading("Evidence")
    if not events:
        yield Paragraph("The journal holds nothing of this run.")
        return
    first, last = events[0], events[-1]
    yield facts(
        ("Journal records", f"{len(events):,}, from {first.seq} to {last.seq}"),
        ("Hash of the last", Cell(last.hash, Style.CODE)),
        ("Last record", instant(last.at)),
    )
    yield Paragraph(f"`remediate audit {last.run}` proves that no record was changed, left out or added.")
