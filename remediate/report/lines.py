"""One event as one line, for the log, the ticket and the live view; and where a run stands, in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import assert_never

from remediate.model.base import duration_text
from remediate.model.event import (
    Accepted,
    Decided,
    Event,
    Final,
    GatePassed,
    Held,
    Inspected,
    Intent,
    Outcome,
    Overwrite,
    Probed,
    Progress,
    Requested,
    Revoked,
    RollbackStarted,
    RunFinished,
    RunStarted,
    RunTaken,
    Settled,
    Stopped,
    Unfit,
    Unread,
    Verb,
    Verified,
)
from remediate.model.plan import Plan
from remediate.model.step import Status
from remediate.report.checks import failed_checks
from remediate.report.history import History, history
from remediate.report.safe import safe
from remediate.report.words import FINALS, VERDICTS, clock, count, names

_MOST = 600
_BEGUN = {Verb.APPLY: "begins", Verb.UNDO: "undo begins", Verb.RELEASE: "release begins"}
_DONE = {Verb.APPLY: "done", Verb.UNDO: "undone", Verb.RELEASE: "released"}
_SUBJECT = {Verb.APPLY: "", Verb.UNDO: "undo ", Verb.RELEASE: "release "}

RunEvent = RunStarted | RunTaken | Requested | Stopped | Progress | RunFinished | Revoked
FleetEvent = Inspected | Accepted | GatePassed | RollbackStarted | Settled | Unfit | Unread
StepEvent = Intent | Outcome | Held | Verified | Probed | Decided | Overwrite


def line(event: Event, plan: Plan | None = None) -> str:
    """``02:14:07 web3 · patch shop: verification failed: …``; the time is UTC.

    With the plan, a step is called by its title, else by its id.
    """
    return f"{clock(event.at)} {event_text(event, plan)}"


def event_text(event: Event, plan: Plan | None = None) -> str:
    """The line without its time."""
    body = event.body
    match body:
        case Inspected() | Accepted() | GatePassed() | RollbackStarted() | Settled() | Unfit() | Unread():
            text = _fleet(body)
        case Intent() | Outcome() | Held() | Verified() | Probed() | Decided() | Overwrite():
            text = f"{body.target} · {title(body.step, plan)}: {_step(body)}"
        case RunStarted() | RunTaken() | Requested() | Stopped() | Progress() | RunFinished() | Revoked():
            text = f"run {event.run} · {_run(body)}"
        case _:
            assert_never(body)
    return one_line(text)


def one_line(text: str, limit: int = _MOST) -> str:
    """The text on one line, safe, its line breaks as semicolons."""
    parts = (" ".join(part.split()) for part in text.replace("\r\n", "\n").split("\n"))
    return safe("; ".join(part for part in parts if part).replace(":; ", ": "), limit)


def title(step: str, plan: Plan | None) -> str:
    """A step's title, or its id where the plan isn't there or doesn't know it."""
    index = plan.step_index.get(step) if plan else None
    return plan.steps[index].title if plan and index is not None else step


def _run(body: RunEvent) -> str:  # noqa: PLR0911 - one return for each type of event
    match body:
        case RunStarted():
            approved = f", approved by {names(body.approvals)}" if body.approvals else ", without approval"
            size = f"{count(body.targets, 'target')}, {count(body.steps, 'step')}"
            return f"started by {body.runner}: {body.runbook}, {size}, plan {body.plan[:12]}{approved}"
        case RunTaken():
            return f"taken up by {body.runner}; what was in flight is in doubt until it is probed"
        case Requested():
            return f"{body.what.value} asked for by {body.by}"
        case Stopped():
            return f"left in good order, can be taken up again: {body.reason}"
        case Progress():
            return f"progress: {body.text}"
        case RunFinished():
            return f"finished with exit code {body.exit_code}: {body.summary}"
        case Revoked():
            return f"approval of plan {body.plan[:12]} taken back by {body.by}"
        case _:
            assert_never(body)


def _fleet(body: FleetEvent) -> str:  # noqa: PLR0911 - one return for each type of event
    match body:
        case Inspected():
            return f"{body.target} · {'as approved' if body.ok else f'not as approved: {body.difference}'}"
        case Accepted():
            return f"{body.target} · {body.by} keeps it as it is, and answers for it"
        case GatePassed():
            return f"wave {body.wave + 1} · passed, {count(body.failed, 'target')} failed so far"
        case RollbackStarted():
            stop = "; nothing else goes forward" if body.stop else ""
            return f"{names(body.targets) or 'no target'} · rollback: {body.reason}{stop}"
        case Settled():
            why = failed_checks(body.results) or body.evidence
            return f"{body.target} · {FINALS[body.final][0]}{f': {why}' if why else ''}"
        case Unfit():
            why = failed_checks(body.results) or body.difference
            return f"{body.target} · acceptance failed: {why}"
        case Unread():
            return f"{body.target} · could not be read back, is asked again: {body.why}"
        case _:
            assert_never(body)


def _step(body: StepEvent) -> str:  # noqa: PLR0911 - one return for each type of event
    match body:
        case Intent():
            return _BEGUN[body.verb] + (f", attempt {body.attempt}" if body.attempt > 1 else "")
        case Outcome():
            return _outcome(body)
        case Held():
            return f"{_SUBJECT[body.verb]}not begun, the state is another one: {body.difference}"
        case Verified():
            if body.ok:
                made = f", {count(len(body.results), 'check')} passed" if body.results else ""
                return f"verified in {duration_text(body.seconds)}{made}"
            return f"verification failed: {failed_checks(body.results)}"
        case Probed():
            evidence = f" ({body.evidence})" if body.evidence else ""
            return f"{_SUBJECT[body.verb]}in doubt, probed: {VERDICTS[body.verdict]}{evidence}"
        case Overwrite():
            return f"{body.by} lets its undo overwrite what others changed since"
        case Decided():
            return f"{body.by} decided: {VERDICTS[body.verdict]}"
        case _:
            assert_never(body)


def _outcome(body: Outcome) -> str:
    took = duration_text(body.seconds)
    result = body.result
    text = result.summary or result.detail
    match result.status:
        case Status.OK:
            nothing = "" if result.changed else ", nothing to change"
            return f"{_DONE[body.verb]} in {took}{f': {text}' if text else nothing}"
        case Status.FAILED:
            return f"{_SUBJECT[body.verb]}failed after {took}{f': {text}' if text else ''}"
        case Status.IN_DOUBT:
            return (
                f"{_SUBJECT[body.verb]}in doubt after {took}, nobody saw its end{f': {text}' if text else ''}"
            )
        case _:
            assert_never(result.status)


def summary(events: Sequence[Event]) -> str:
    """Where the run stands: ``r-1a2b: 3 of 4 targets settled (2 verified new, …), running for 12 min``."""
    if not events:
        return "nothing has happened yet"
    seen = history(events)
    total = seen.started.targets if seen.started else 0
    tally = Counter(ending.final for ending in seen.endings.values())
    parts = ", ".join(f"{tally[final]:,} {FINALS[final][0]}" for final in Final if tally[final])
    settled = f"{len(seen.endings):,} of {count(total, 'target')} settled{f' ({parts})' if parts else ''}"
    return safe(f"run {seen.run}: {settled}, {_phase(seen, events[-1])}", _MOST)


def _phase(seen: History, last: Event) -> str:
    took = duration_text(max(seen.last - seen.first, 0.0))
    if seen.finished:
        return f"finished after {took}"
    if isinstance(last.body, Stopped):
        return f"stopped after {took}: {last.body.reason}"
    return f"rolling back, {took} since the start" if seen.rolling else f"running for {took}"
