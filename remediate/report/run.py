"""A run as a report: how it ended and how that is known. Derived from the plan and the events alone."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from remediate.model.base import duration_text
from remediate.model.event import Event, Final, Verb
from remediate.model.plan import Plan
from remediate.model.step import Role
from remediate.report import run_evidence, run_steps
from remediate.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Document,
    Facts,
    Heading,
    Notice,
    Paragraph,
    Severity,
    Style,
    facts,
    table,
)
from remediate.report.history import History, history
from remediate.report.lines import one_line, title
from remediate.report.words import FINALS, count, instant, names

_LOUDNESS = {
    Final.NEW: Severity.SUCCESS,
    Final.ORIGINAL: Severity.WARNING,
    Final.HUMAN: Severity.DANGER,
}
_WORST_FIRST = (Final.HUMAN, Final.ORIGINAL, Final.NEW)


def run_document(plan: Plan, events: Sequence[Event], project: str = "") -> Document:
    """The report of the run that these events are of, finished or not; ``project`` is its name."""
    seen = history(events)
    blocks = [
        *_warnings(plan, seen),
        _headline(plan, seen),
        *_open_questions(seen),
        _identity(plan, seen, project),
        *_targets(plan, seen),
        *run_steps.timeline(plan, events, seen),
        *run_steps.checks(plan, events),
        *_rollback(plan, seen),
        *run_evidence.decisions(plan, events),
        *run_evidence.findings(plan, events),
        *run_evidence.proof(events),
    ]
    subject = plan.ticket.subject or plan.runbook.name
    return Document(f"Run {seen.run or 'not begun'}: {subject}", tuple(blocks))


def _warnings(plan: Plan, seen: History) -> Iterator[Block]:
    if seen.started and seen.started.plan != plan.digest:
        yield Notice(Severity.DANGER, "This is the report of another plan's run: the digests differ.")


def _headline(plan: Plan, seen: History) -> Notice:
    words = Counter(_word(seen, target.name) for target in plan.targets)
    finals = {ending.final for ending in seen.endings.values()}
    level = next((_LOUDNESS[final] for final in _WORST_FIRST if final in finals), Severity.INFO)
    if level is Severity.SUCCESS and not seen.finished:
        level = Severity.INFO
    parts = [f"{count(number, 'target')} {word}" for word, number in words.most_common()]
    ending = "" if seen.finished else " The run is not finished."
    return Notice(level, f"{', '.join(parts) or 'No targets'}.{ending}")


def _word(seen: History, target: str) -> str:
    ending = seen.endings.get(target)
    if ending is None:
        return _final(seen, target).text
    if ending.final is Final.ORIGINAL:
        undone = seen.of(target, Verb.UNDO)
        return "rolled back and verified original" if undone else "verified original (never touched)"
    return FINALS[ending.final][0]


def _open_questions(seen: History) -> Iterator[Block]:
    """What a person has to do now, as command lines."""
    stuck = [name for name, ending in seen.endings.items() if ending.final is Final.HUMAN]
    if not stuck:
        return
    yield Heading("What a person has to do")
    yield Bullets(
        tuple(f"{name}: {one_line(seen.endings[name].evidence) or 'no reason given'}" for name in stuck)
    )
    doubts = [
        f"remediate decide {shlex.join([seen.run, attempt.key.step, name])} applied --key ~/.ssh/id_ed25519\n"
        for name in stuck
        for attempt in seen.of(name, Verb.APPLY)
        if attempt.in_doubt
    ]
    if doubts:
        yield Paragraph(
            "Find out whether the step took effect, then sign what you found (applied or not-applied):"
        )
        yield Code("".join(doubts), "sh")
    held = [
        f"remediate decide {shlex.join([seen.run, step, name])} overwrite --key ~/.ssh/id_ed25519\n"
        for name in stuck
        if (step := seen.held.get(name))
    ]
    if held:
        yield Paragraph(
            "Somebody else changed this meanwhile. Put it back to what this run left, or sign that what they "
            "wrote may be lost:"
        )
        yield Code("".join(held), "sh")


def _identity(plan: Plan, seen: History, project: str) -> Facts:
    started, finished = seen.started, seen.finished
    ended = instant(seen.last) if finished else ""
    outside = plan.window is not None and finished is not None and seen.last >= plan.window.end.timestamp()
    return facts(
        ("Project", project),
        ("Ticket", " · ".join(filter(None, [plan.ticket.id, plan.ticket.subject]))),
        ("Plan", plan.id),
        ("Digest (SHA-256)", Cell(started.plan if started else plan.digest, Style.CODE)),
        ("Runbook", plan.runbook.name),
        ("Approved by", ", ".join(started.approvals) if started else ""),
        ("Run by", f"{started.runner}, remediate {started.tool_version}" if started else ""),
        ("Started", instant(seen.first) if started else "not yet"),
        ("Finished", Cell(f"{ended}, after the window", Style.WARN) if outside else ended),
        ("Took", duration_text(max(seen.last - seen.first, 0.0)) if finished else ""),
        ("Exit code", str(finished.exit_code) if finished else ""),
    )


def _targets(plan: Plan, seen: History) -> Iterator[Block]:
    yield Heading("Targets")
    rows: list[list[str | Cell]] = [
        [target.name, _final(seen, target.name), *_progress(plan, seen, target.name)]
        for target in plan.targets
    ]
    yield table(["Target", "Ended", "Steps done", "What failed"], rows)


def _final(seen: History, target: str) -> Cell:
    if target in seen.endings:
        return Cell(*FINALS[seen.endings[target].final])
    if target in seen.rolling:
        return Cell("being rolled back", Style.WARN)
    return Cell("under way" if seen.of(target, Verb.APPLY) else "not begun", Style.DIM)


def _progress(plan: Plan, seen: History, target: str) -> tuple[str, Cell]:
    planned = [s for s in plan.steps if target in s.target_set and s.role in (Role.BACKUP, Role.CHANGE)]
    done = sum(attempt.took_effect for attempt in seen.of(target, Verb.APPLY))
    undone = sum(attempt.took_effect for attempt in seen.of(target, Verb.UNDO))
    text = f"{done} of {len(planned)}" + (f", {undone} undone" if undone else "")
    ended_new = target in seen.endings and seen.endings[target].final is Final.NEW
    failure = seen.failures.get(target)
    if failure is None or ended_new:
        return text, Cell("")
    step = f"{title(failure.step, plan)}: " if failure.step else ""
    return text, Cell(one_line(f"{step}{failure.reason}", 300), Style.BAD)


def _rollback(plan: Plan, seen: History) -> Iterator[Block]:
    yield Heading("Rollback")
    if not seen.rollbacks:
        yield Paragraph("Nothing had to be rolled back.")
        return
    causes = [
        f"{names(cause.targets) or 'no target'}: {one_line(cause.reason)}"
        + ("; nothing else went forward" if cause.stop else "")
        for cause in seen.rollbacks
    ]
    yield Bullets(tuple(causes))
    rows: list[list[str | Cell]] = []
    for target in seen.rolling:
        undone = [title(a.key.step, plan) for a in seen.of(target, Verb.UNDO) if a.took_effect]
        ending = seen.endings.get(target)
        proof = one_line(ending.evidence) if ending else "not settled yet"
        rows.append([target, "; ".join(undone) or "nothing", _final(seen, target), proof])
    yield table(["Target", "Undone, in this order", "Ended", "Proof"], rows)
