"""Runs of the sample plan as events: one that ends well, one that rolls back, one that needs a person."""

from __future__ import annotations

from collections.abc import Sequence

from remediate.model.event import (
    Body,
    Decided,
    Event,
    Final,
    GatePassed,
    Held,
    Inspected,
    Intent,
    Outcome,
    Probed,
    Progress,
    Request,
    Requested,
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
from tests.report.samples import events, plan

Timed = tuple[float, Body]

GOOD = (
    CheckResult(
        title="GET http://10.77.0.11:8080/healthz answers 200", ok=True, expected="200", actual="200"
    ),
)
BAD = (
    CheckResult(
        title="GET http://10.77.0.13:8080/healthz", ok=False, expected="200", actual="500", seconds=30.0
    ),
)


def started() -> Timed:
    """The first event."""
    made = plan()
    return 4, RunStarted(
        plan=made.digest,
        plan_id=made.id,
        ticket="1042",
        runbook="patch-package",
        runner="jo@ops1",
        tool_version="0.1.0",
        approvals=("anna",),
        targets=4,
        steps=4,
    )


def step(at: float, name: str, targets: Sequence[str], took: float, *checks: CheckResult) -> list[Timed]:
    """Intent, outcome and verification of one step that goes well until its checks."""
    ok = Result(summary="1 task changed" if name == "patch" else "")
    return [
        *((at, Intent(verb=Verb.APPLY, step=name, target=t, attempt=1)) for t in targets),
        *(
            (at + took, Outcome(verb=Verb.APPLY, step=name, target=t, attempt=1, result=ok, seconds=took))
            for t in targets
        ),
        *(
            (at + took + 2, Verified(step=name, target=t, attempt=1, results=checks, seconds=1.5))
            for t in targets
        ),
    ]


def canary() -> list[Timed]:
    """The first wave, up to its gate."""
    return [
        started(),
        (5, Inspected(wave=0, target="web1", ok=True)),
        *step(6, "snapshot", ["web1"], 21),
        *step(30, "patch", ["web1"], 38, *GOOD),
        *step(71, "restart", ["web1"], 4, *GOOD),
        (140, GatePassed(wave=0, failed=0)),
    ]


def good() -> list[Event]:
    """Everything is verified new."""
    rest = ["web2", "web3", "web4"]
    return events(
        *canary(),
        *((141, Inspected(wave=1, target=t, ok=True)) for t in rest),
        *step(142, "snapshot", rest, 24),
        *step(169, "patch", rest, 41, *GOOD),
        *step(213, "restart", rest, 4, *GOOD),
        (220, GatePassed(wave=1, failed=0)),
        *(
            (224, Settled(target=t, final=Final.NEW, evidence="2 facts read back are as left", results=GOOD))
            for t in ("web1", *rest)
        ),
        (225, RunFinished(exit_code=0, summary="4 verified new")),
    )


def rolled_back() -> list[Event]:
    """web3 answers 500 after the upgrade, so everything is undone."""
    rest = ["web2", "web3", "web4"]
    wave = step(169, "patch", rest, 41, *GOOD)
    wave[-2] = (217, Verified(step="patch", target="web3", attempt=1, results=BAD, seconds=30))
    reason = "web3: GET http://10.77.0.13:8080/healthz: expected 200, got 500"
    undone = Result(summary="reverted to the snapshot")
    return events(
        *canary(),
        *((141, Inspected(wave=1, target=t, ok=True)) for t in rest),
        *step(142, "snapshot", rest, 24),
        *sorted(wave, key=lambda timed: timed[0]),
        (218, RollbackStarted(targets=("web1", *rest), reason=reason, stop=True)),
        (220, Progress(text="Health check failed on web3; all four servers go back to version 1.0-1.")),
        *((221, Intent(verb=Verb.UNDO, step="snapshot", target=t, attempt=1)) for t in rest),
        *(
            (270, Outcome(verb=Verb.UNDO, step="snapshot", target=t, attempt=1, result=undone, seconds=49))
            for t in rest
        ),
        (271, Intent(verb=Verb.UNDO, step="snapshot", target="web1", attempt=1)),
        (315, Outcome(verb=Verb.UNDO, step="snapshot", target="web1", attempt=1, result=undone, seconds=44)),
        *(
            (
                320,
                Settled(
                    target=t,
                    final=Final.ORIGINAL,
                    evidence="2 facts read back over a fresh session, as they were before the run",
                ),
            )
            for t in ("web1", *rest)
        ),
        (321, RunFinished(exit_code=4, summary=f"4 verified original ({reason})")),
    )


def needs_human() -> list[Event]:
    """The runner dies in the middle, a restart stays in doubt, and web4 was never begun."""
    doubt = Result(status=Status.IN_DOUBT, summary="the connection dropped")
    return events(
        *canary(),
        (141, Inspected(wave=1, target="web2", ok=True)),
        (141, Inspected(wave=1, target="web4", ok=False, difference="package:shop version: 1.0-1 → 1.0-2")),
        *step(142, "snapshot", ["web2"], 24),
        (169, Intent(verb=Verb.APPLY, step="restart", target="web2", attempt=1)),
        (172, Outcome(verb=Verb.APPLY, step="restart", target="web2", attempt=1, result=doubt, seconds=3)),
        (180, RunTaken(runner="jo@ops2", tool_version="0.1.0")),
        (
            185,
            Probed(
                verb=Verb.APPLY,
                step="restart",
                target="web2",
                attempt=1,
                verdict=Verdict.UNKNOWN,
                evidence="no route to host",
            ),
        ),
        (186, Requested(what=Request.ABORT, by="maria")),
        (187, RollbackStarted(targets=("web2",), reason="aborted by maria", stop=True)),
        (188, Held(verb=Verb.UNDO, step="snapshot", target="web2", difference="file:/etc/x: absent → 1")),
        (189, Unread(target="web2", why="no route to host")),
        (190, Unfit(target="web1", results=BAD)),
        (795, Settled(target="web2", final=Final.HUMAN, evidence="nobody knows whether it was applied")),
        (796, Settled(target="web4", final=Final.ORIGINAL, evidence="no step of this run was begun on it")),
        (797, Stopped(reason="the runner was asked to end")),
    )


def decided() -> list[Event]:
    """The same, after a person settled the doubt."""
    return events(
        *((event.at - needs_human()[0].at + 4, event.body) for event in needs_human()),
        (
            900,
            Decided(
                step="restart", target="web2", attempt=1, verdict=Verdict.APPLIED, by="anna", envelope="{}"
            ),
        ),
    )
