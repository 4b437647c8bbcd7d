"""What a run did and saw: its timeline and its checks; targets that went alike share a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from remediate.model.base import duration_text
from remediate.model.event import (
    Event,
    Final,
    GatePassed,
    Requested,
    RollbackStarted,
    RunFinished,
    RunStarted,
    RunTaken,
    Settled,
    Stopped,
    Unfit,
    Verb,
    Verified,
)
from remediate.model.plan import Plan
from remediate.model.step import CheckResult, Status
from remediate.report.document import Block, Cell, Heading, Paragraph, Style, table
from remediate.report.history import Attempt, History
from remediate.report.lines import event_text, one_line, title
from remediate.report.words import FINALS, VERDICTS, clock, count, day, effect, grouped, instant, names

_MAX_ROWS = 400

_MILESTONES = (RunStarted, RunTaken, GatePassed, RollbackStarted, Requested, Stopped, RunFinished)


class _Row(NamedTuple):
    at: float
    what: str
    on: str
    took: str
    outcome: Cell


def timeline(plan: Plan, events: Sequence[Event], seen: History) -> Iterator[Block]:
    """When each step began, how long it took and how it ended; and what happened to the run itself."""
    waves = {name: number for number, wave in enumerate(plan.waves) for name in wave.targets}
    alike = grouped(
        ((a.key.verb, a.key.step, a.key.number, waves.get(a.key.target), _outcome(a)), a)
        for a in seen.attempts.values()
    )
    rows = [_attempts(plan, same) for same in alike.values()]
    rows += [
        _Row(event.at, _milestone(event), "", "", Cell(""))
        for event in events
        if isinstance(event.body, _MILESTONES)
    ]
    rows += _endings(events)
    rows.sort(key=lambda row: row.at)
    yield Heading("What happened")
    if rows:
        days = sorted({day(row.at) for row in rows})
        yield Paragraph(f"Times are UTC, from {days[0]} to {days[-1]}." if days[1:] else f"{days[0]}, UTC.")
        time = instant if days[1:] else clock
        yield table(
            ["Time", "What", "On", "Took", "Outcome"],
            [[time(row.at), row.what, row.on, row.took, row.outcome] for row in rows[:_MAX_ROWS]],
        )
    if len(rows) > _MAX_ROWS:
        yield Paragraph(f"… {count(len(rows) - _MAX_ROWS, 'more line')}; `remediate log` shows them all.")


def _milestone(event: Event) -> str:
    return event_text(event).removeprefix(f"run {event.run} · ")


def _attempts(plan: Plan, same: Sequence[Attempt]) -> _Row:
    first = same[0]
    began = min(attempt.began for attempt in same)
    took = max(attempt.ended for attempt in same) - began
    again = f", attempt {first.key.number}" if first.key.number > 1 else ""
    return _Row(
        began,
        f"{effect(first.key.verb, title(first.key.step, plan))}{again}",
        names([attempt.key.target for attempt in same]),
        duration_text(took),
        _outcome(first),
    )


def _outcome(attempt: Attempt) -> Cell:
    if attempt.verified is not None:
        good = attempt.verified.ok
        return Cell("done and verified", Style.GOOD) if good else Cell("verification failed", Style.BAD)
    result = attempt.result
    if attempt.verdict is not None:
        return Cell(f"in doubt; {VERDICTS[attempt.verdict]}", Style.WARN)
    if result is None:
        return Cell("no outcome seen yet", Style.WARN)
    if result.status is Status.OK:
        return Cell("undone" if attempt.key.verb is Verb.UNDO else "done", Style.GOOD)
    word = "failed" if result.status is Status.FAILED else "in doubt"
    style = Style.BAD if result.status is Status.FAILED else Style.WARN
    return Cell(one_line(f"{word}: {result.summary}" if result.summary else word, 200), style)


def _endings(events: Sequence[Event]) -> list[_Row]:
    alike: dict[tuple[int, Final], list[tuple[float, str]]] = grouped(
        ((int(event.at), event.body.final), (event.at, event.body.target))
        for event in events
        if isinstance(event.body, Settled)
    )
    return [
        _Row(
            same[0][0],
            "read back over a new connection",
            names([name for _, name in same]),
            "",
            Cell(*FINALS[final]),
        )
        for (_, final), same in alike.items()
    ]


def checks(plan: Plan, events: Sequence[Event]) -> Iterator[Block]:
    """Every check, expected beside found; those that failed first."""
    found = grouped(_results(plan, events))
    rows = sorted(found.items(), key=lambda item: item[0].ok)
    yield Heading("What was verified")
    if not rows:
        yield Paragraph("No check has been made.")
        return
    yield table(
        ["After", "Check", "Expected", "Found", "On"],
        [
            [
                check.after,
                one_line(check.title),
                one_line(check.expected, 300),
                Cell(
                    one_line(check.actual, 300) or ("as expected" if check.ok else "nothing"),
                    _style(check.ok),
                ),
                names(list(dict.fromkeys(targets))),
            ]
            for check, targets in rows[:_MAX_ROWS]
        ],
    )
    if len(rows) > _MAX_ROWS:
        yield Paragraph(f"… {count(len(rows) - _MAX_ROWS, 'more check')}, in the journal.")


def _style(ok: bool) -> Style:
    return Style.GOOD if ok else Style.BAD


class _Check(NamedTuple):
    ok: bool
    after: str
    title: str
    expected: str
    actual: str


def _results(plan: Plan, events: Sequence[Event]) -> Iterator[tuple[_Check, str]]:
    for event in events:
        match event.body:
            case Verified(step=step, target=target, results=results):
                after = title(step, plan)
            case Settled(target=target, results=results) | Unfit(target=target, results=results):
                after = "the end"
            case _:
                continue
        for result in results:
            yield _key(after, result), target


def _key(after: str, result: CheckResult) -> _Check:
    return _Check(result.ok, after, result.title, result.expected, result.actual)
