"""Each event as a line, and a run's state as one."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given

from remediate.model.event import (
    Accepted,
    Body,
    Decided,
    Final,
    GatePassed,
    Held,
    Inspected,
    Intent,
    Outcome,
    Overwrite,
    Probed,
    Progress,
    Request,
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
from remediate.model.step import CheckResult, Result, Status, Verdict
from remediate.report.lines import line, summary
from tests.report import runs
from tests.report.hostile import FORBIDDEN, often, texts
from tests.report.samples import events, plan

BAD = CheckResult(title="GET http://web3/healthz", ok=False, expected="200", actual="500")
FINE = CheckResult(title="shop is active", ok=True)
APPLY, UNDO = Verb.APPLY, Verb.UNDO


def outcome(verb: Verb = APPLY, seconds: float = 12.0, **result: object) -> Outcome:
    """What came of a step on web3."""
    return Outcome(
        verb=verb,
        step="patch",
        target="web3",
        attempt=1,
        seconds=seconds,
        result=Result.model_validate(result),
    )


STARTED = RunStarted(
    plan="ab" * 32, plan_id="p-1", ticket="1042", runbook="patch-package", runner="jo@ops1",
    tool_version="0.1.0", approvals=("anna", "bert"), targets=4, steps=1,
)  # fmt: skip
CASES: list[tuple[Body, str]] = [
    (STARTED, "run r-1a2b · started by jo@ops1: patch-package, 4 targets, 1 step, plan abababababab,"
              " approved by anna, bert"),
    (STARTED.model_copy(update={"approvals": ()}),
     "run r-1a2b · started by jo@ops1: patch-package, 4 targets, 1 step, plan abababababab,"
              " without approval"),
    (RunTaken(runner="jo@ops2", tool_version="0.1.0"),
     "run r-1a2b · taken up by jo@ops2; what was in flight is in doubt until it is probed"),
    (Inspected(wave=0, target="web3", ok=True), "web3 · as approved"),
    (Inspected(wave=0, target="web3", ok=False, difference="package:shop version: 1 → 2\nmode: 3 → 4"),
     "web3 · not as approved: package:shop version: 1 → 2; mode: 3 → 4"),
    (Intent(verb=APPLY, step="patch", target="web3", attempt=1), "web3 · upgrade shop to 1.1-1: begins"),
    (Intent(verb=APPLY, step="other", target="web3", attempt=2), "web3 · other: begins, attempt 2"),
    (Intent(verb=UNDO, step="patch", target="web3", attempt=1), "web3 · upgrade shop to 1.1-1: undo begins"),
    (Intent(verb=Verb.RELEASE, step="patch", target="web3", attempt=1),
     "web3 · upgrade shop to 1.1-1: release begins"),
    (outcome(), "web3 · upgrade shop to 1.1-1: done in 12 s"),
    (outcome(changed=False), "web3 · upgrade shop to 1.1-1: done in 12 s, nothing to change"),
    (outcome(summary="3 tasks changed"), "web3 · upgrade shop to 1.1-1: done in 12 s: 3 tasks changed"),
    (outcome(UNDO, 240), "web3 · upgrade shop to 1.1-1: undone in 4 min"),
    (outcome(Verb.RELEASE), "web3 · upgrade shop to 1.1-1: released in 12 s"),
    (outcome(status=Status.FAILED, detail="E: no such version"),
     "web3 · upgrade shop to 1.1-1: failed after 12 s: E: no such version"),
    (outcome(UNDO, status=Status.FAILED), "web3 · upgrade shop to 1.1-1: undo failed after 12 s"),
    (outcome(status=Status.IN_DOUBT, summary="the connection dropped"),
     "web3 · upgrade shop to 1.1-1: in doubt after 12 s, nobody saw its end: the connection dropped"),
    (Held(verb=APPLY, step="patch", target="web3", difference="a: 1 → 2"),
     "web3 · upgrade shop to 1.1-1: not begun, the state is another one: a: 1 → 2"),
    (Held(verb=UNDO, step="patch", target="web3", difference="a: 1 → 2"),
     "web3 · upgrade shop to 1.1-1: undo not begun, the state is another one: a: 1 → 2"),
    (Verified(step="patch", target="web3", attempt=1, results=(FINE, FINE), seconds=2),
     "web3 · upgrade shop to 1.1-1: verified in 2 s, 2 checks passed"),
    (Verified(step="patch", target="web3", attempt=1, results=()),
     "web3 · upgrade shop to 1.1-1: verified in 0 s"),
    (Verified(step="patch", target="web3", attempt=1, results=(FINE, BAD)),
     "web3 · upgrade shop to 1.1-1: verification failed: GET http://web3/healthz: expected 200, got 500"),
    (Verified(step="patch", target="web3", attempt=1, results=(BAD,) * 5),
     "web3 · upgrade shop to 1.1-1: verification failed: "
     + "GET http://web3/healthz: expected 200, got 500; " * 3 + "and 2 more checks"),
    (Probed(verb=APPLY, step="patch", target="web3", attempt=1, verdict=Verdict.APPLIED, evidence="1.1-1 in"),
     "web3 · upgrade shop to 1.1-1: in doubt, probed: it was applied (1.1-1 in)"),
    (Probed(verb=UNDO, step="patch", target="web3", attempt=1, verdict=Verdict.UNKNOWN),
     "web3 · upgrade shop to 1.1-1: undo in doubt, probed: nobody can tell"),
    (Decided(step="patch", target="web3", attempt=1, verdict=Verdict.NOT_APPLIED, by="anna", envelope="{}"),
     "web3 · upgrade shop to 1.1-1: anna decided: it was not applied"),
    (Overwrite(step="patch", target="web3", by="anna", envelope="{}"),
     "web3 · upgrade shop to 1.1-1: anna lets its undo overwrite what others changed since"),
    (Accepted(target="web3", by="anna", envelope="{}"), "web3 · anna keeps it as it is, and answers for it"),
    (GatePassed(wave=0, failed=1), "wave 1 · passed, 1 target failed so far"),
    (RollbackStarted(targets=("web3",), reason="web3: failed", stop=False), "web3 · rollback: web3: failed"),
    (RollbackStarted(targets=(), reason="point of no return", stop=True),
     "no target · rollback: point of no return; nothing else goes forward"),
    (Settled(target="web3", final=Final.NEW, evidence="2 facts as left", results=(FINE,)),
     "web3 · verified new: 2 facts as left"),
    (Settled(target="web3", final=Final.HUMAN, results=(BAD,)),
     "web3 · needs a human: GET http://web3/healthz: expected 200, got 500"),
    (Settled(target="web3", final=Final.ORIGINAL), "web3 · verified original"),
    (Unfit(target="web3", results=(BAD,)),
     "web3 · acceptance failed: GET http://web3/healthz: expected 200, got 500"),
    (Unfit(target="web3", difference="a: 1 → 2"), "web3 · acceptance failed: a: 1 → 2"),
    (Unread(target="web3", why="no route"), "web3 · could not be read back, is asked again: no route"),
    (Requested(what=Request.ABORT, by="maria"), "run r-1a2b · abort asked for by maria"),
    (Stopped(reason="asked to end"), "run r-1a2b · left in good order, can be taken up again: asked to end"),
    (Progress(text="Two of four\nare done."), "run r-1a2b · progress: Two of four; are done."),
    (RunFinished(exit_code=4, summary="4 verified original"),
     "run r-1a2b · finished with exit code 4: 4 verified original"),
    (Revoked(plan="ab" * 32, by="anna", envelope="{}"),
     "run r-1a2b · approval of plan abababababab taken back by anna"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "text"), CASES, ids=lambda case: getattr(case, "kind", None))
def test_lines(body: Body, text: str) -> None:
    (event,) = events((847.0, body))
    assert line(event, plan()) == f"02:14:07 {text}"


def test_every_event_has_a_case() -> None:
    union = get_args(Body)[0]
    assert {type(body) for body, _ in CASES} == set(get_args(union))


def test_without_the_plan_a_step_is_its_id() -> None:
    (event,) = events((0, Intent(verb=APPLY, step="patch", target="web3", attempt=1)))
    assert line(event) == "02:00:00 web3 · patch: begins"


@often
@given(texts)
def test_a_line_is_one_safe_line(text: str) -> None:
    check = CheckResult(title=text, ok=False, expected=text, actual=text)
    bodies: list[Body] = [
        Progress(text=text),
        Settled(target=text, final=Final.HUMAN, evidence=text),
        Verified(step=text, target=text, attempt=1, results=(check,)),
    ]
    for event in events(*((0.0, body) for body in bodies)):
        shown = line(event)
        assert not FORBIDDEN.search(shown)
        assert "\n" not in shown
        assert len(shown) < 700


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "nothing has happened yet"),
        (1, "run r-1a2b: 0 of 4 targets settled, running for 0 s"),
        (12, "run r-1a2b: 0 of 4 targets settled, running for 2 min"),
        (40, "run r-1a2b: 0 of 4 targets settled, rolling back, 4 min since the start"),
        (99, "run r-1a2b: 4 of 4 targets settled (4 verified original), finished after 5 min"),
    ],
)
def test_summary_of_a_rollback(count: int, text: str) -> None:
    assert summary(runs.rolled_back()[:count]) == text


def test_summary_of_a_stop() -> None:
    assert summary(runs.needs_human()) == (
        "run r-1a2b: 2 of 4 targets settled (1 verified original, 1 needs a human),"
        " stopped after 13 min: the runner was asked to end"
    )
