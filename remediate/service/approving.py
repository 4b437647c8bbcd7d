"""Use cases: approve, deny, and settle a step in doubt, each signed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from remediate.approval.envelope import Decision, Evidence, Settlement, read_envelopes
from remediate.approval.policy import Standing, evaluate, settle
from remediate.approval.signing import sign
from remediate.errors import InputError
from remediate.journal.holder import this_process
from remediate.model.event import Accepted, Decided, Final, Overwrite, Revoked
from remediate.model.plan import Plan
from remediate.model.step import Verdict
from remediate.service.planning import read_plan
from remediate.service.project import Project
from remediate.service.runs import load_run


def now(project: Project) -> datetime:
    """The project's clock as an aware instant."""
    return datetime.fromtimestamp(project.clock(), UTC)


def approve(
    project: Project, file: Path, key: Path, comment: str = "", principal: str | None = None
) -> tuple[Path, Standing]:
    """Sign the plan; returns the envelope's file and how the plan stands now.

    Raises:
        InputError, Refused: the key can't sign, or its signature would not count.
    """
    plan = read_plan(file)
    envelope = sign(
        plan,
        Decision.APPROVE,
        key,
        project.config,
        now=now(project),
        comment=comment,
        principal=principal,
        interactive=True,
    )
    return envelope.save(file), standing(project, plan, file)


def deny(
    project: Project, file: Path, key: Path, comment: str, principal: str | None = None, revoke: bool = False
) -> Path:
    """Refuse the plan (or take one's own approval back), beside the plan and in the journal.

    The journal's record stops a run that is under way, and can't be lost by removing a file.
    """
    if not comment.strip():
        raise InputError("a denial needs its reason", "add --comment WHY")
    plan = read_plan(file)
    decision = Decision.REVOKE if revoke else Decision.DENY
    envelope = sign(
        plan, decision, key, project.config, now=now(project), comment=comment, principal=principal,
        interactive=True,
    )  # fmt: skip
    by = project.config.person(envelope.payload.principal)
    project.journal.append(
        "", [Revoked(plan=plan.digest, by=by, envelope=envelope.data.decode())], project.clock(), None
    )
    return envelope.save(file)


def standing(project: Project, plan: Plan, file: Path, runner: tuple[str, ...] = ()) -> Standing:
    """How the plan stands with its approvers, from the files beside it and from the journal."""
    return evaluate(
        plan, read_envelopes(file), project.config, now(project), runner, revocations(project, plan)
    )


def revocations(project: Project, plan: Plan) -> list[Evidence]:
    """Denials and revocations that the journal keeps."""
    found = []
    for event in project.journal.revocations(plan.digest):
        if isinstance(event.body, Revoked):
            found.append(Evidence(f"journal record {event.seq}", event.body.envelope.encode()))
    return found


def decide(
    project: Project,
    run: str,
    step: str,
    target: str,
    verdict: Verdict,
    key: Path,
    comment: str = "",
) -> Decided:
    """Settle a step in doubt by a signed word.

    Raises:
        InputError: there is no such step in doubt.
        Refused: the signer may not decide.
    """
    loaded = load_run(project, run)
    plan, state = loaded.plan, loaded.state
    index = plan.step_index.get(step)
    if index is None or target not in plan.by_name:
        raise InputError(f"run {loaded.run} has no step {step!r} on {target!r}", _known(loaded.doubts))
    cell = state.cell(index, target)
    if (step, target) not in loaded.doubts:
        raise InputError(f"{step} on {target} is not in doubt", _known(loaded.doubts))
    if verdict not in (Verdict.APPLIED, Verdict.NOT_APPLIED):
        raise InputError(f"{verdict}: a decision is applied or not-applied")
    settlement = Settlement(run=loaded.run, step=step, target=target, attempt=cell.attempt, verdict=verdict)
    envelope = sign(
        plan, Decision.DECIDE, key, project.config, now=now(project), comment=comment, settles=settlement,
        interactive=True,
    )  # fmt: skip
    evidence = Evidence("the new envelope", envelope.data)
    approval = settle(evidence, settlement, plan, project.config, now(project))
    body = Decided(
        step=step,
        target=target,
        attempt=cell.attempt,
        verdict=verdict,
        by=approval.person,
        envelope=envelope.data.decode(),
    )
    project.journal.append(loaded.run, [body], project.clock(), None)
    return body


def let_overwrite(
    project: Project, run: str, step: str, target: str, key: Path, comment: str = ""
) -> Overwrite:
    """Let the undo of a step overwrite what others changed since, by a signed word.

    Raises:
        InputError: no undo of this step waits for a human on that target.
        Refused: the signer may not decide.
    """
    loaded = load_run(project, run)
    held = loaded.held_undos
    if (step, target) not in held:
        raise InputError(f"the undo of {step} on {target} does not wait for a human", _waiting(held))
    settlement = Settlement(run=loaded.run, step=step, target=target, verdict="overwrite")
    envelope = sign(
        loaded.plan, Decision.DECIDE, key, project.config, now=now(project), comment=comment,
        settles=settlement, interactive=True,
    )  # fmt: skip
    evidence = Evidence("the new envelope", envelope.data)
    approval = settle(evidence, settlement, loaded.plan, project.config, now(project))
    body = Overwrite(step=step, target=target, by=approval.person, envelope=envelope.data.decode())
    project.journal.append(loaded.run, [body], project.clock(), None)
    return body


def _waiting(held: list[tuple[str, str]]) -> str:
    if not held:
        return "no undo of this run does"
    return "these do: " + ", ".join(f"{step} on {target}" for step, target in held)


def accept(project: Project, run: str, target: str, key: Path, comment: str = "") -> Accepted:
    """Keep a target that needs a human as it is now, by a signed word, and let go of it.

    Raises:
        InputError: the run holds no such target for a human.
        Refused: the signer may not decide, or somebody executes the run.
    """
    loaded = load_run(project, run)
    held = [n for n, t in loaded.state.targets.items() if t.settled is Final.HUMAN and not t.accepted]
    if loaded.state.finished is None or target not in held:
        known = f"these do: {', '.join(held)}" if held and loaded.state.finished else ""
        raise InputError(f"{target} does not wait for a human in run {loaded.run}", known)
    settlement = Settlement(run=loaded.run, target=target, verdict="kept")
    envelope = sign(
        loaded.plan, Decision.DECIDE, key, project.config, now=now(project), comment=comment,
        settles=settlement, interactive=True,
    )  # fmt: skip
    evidence = Evidence("the new envelope", envelope.data)
    approval = settle(evidence, settlement, loaded.plan, project.config, now(project))
    body = Accepted(target=target, by=approval.person, envelope=envelope.data.decode())
    lease = project.journal.acquire(
        loaded.run, (), this_process(), project.clock(), project.config.limits.lease
    )
    project.journal.append(loaded.run, [body], project.clock(), lease)
    project.journal.release(lease, [name for name in held if name != target])
    return body


def _known(doubts: list[tuple[str, str]]) -> str:
    if not doubts:
        return "nothing of this run is in doubt"
    return "in doubt: " + ", ".join(f"{step} on {target}" for step, target in doubts)
