"""Words that people give for a run, and what an audit says of those that nobody gave."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from remediate.errors import Exit, InputError
from remediate.model.event import Overwrite
from remediate.model.step import Verdict
from remediate.service import approving, auditing, planning
from tests.service.simulated import Simulated


@pytest.fixture
def ended(simulated: Simulated) -> Simulated:
    """A run that ended well."""
    simulated.approve()
    assert simulated.run() is Exit.VERIFIED_NEW
    assert auditing.audit_runs(simulated.project, None) == []
    return simulated


def key(simulated: Simulated) -> Path:
    """Carol's."""
    return simulated.world.root / "keys" / "carol"


def test_only_what_waits_for_a_human_is_decided(ended: Simulated) -> None:
    project = ended.project
    with pytest.raises(InputError, match="is not in doubt"):
        approving.decide(project, "last", "s2-change", "t1", Verdict.APPLIED, key(ended))
    with pytest.raises(InputError, match="does not wait for a human"):
        approving.let_overwrite(project, "last", "s2-change", "t1", key(ended))
    with pytest.raises(InputError, match="does not wait for a human"):
        approving.accept(project, "last", "t1", key(ended))
    assert [e.body.kind for e in project.journal.events(project.find_run("last"))][-1] == "run-finished"


def test_a_denial_says_why(simulated: Simulated) -> None:
    with pytest.raises(InputError, match="needs its reason"):
        approving.deny(simulated.project, simulated.file, key(simulated), " ")
    assert simulated.project.journal.revocations(simulated.plan.digest) == []


def without_the_approval(simulated: Simulated) -> None:
    """Nobody can show who approved it."""
    for path in (simulated.world.root / ".remediate" / "runs").glob("*/approvals/*.json"):
        path.unlink()


def with_a_forged_word(simulated: Simulated) -> None:
    """Somebody wrote it into the journal, without a signature."""
    project = simulated.project
    word = Overwrite(step="s2-change", target="t1", by="carol", envelope="{}")
    project.journal.append(project.find_run("last"), [word], simulated.world.clock(), None)


def without_its_end(simulated: Simulated) -> None:
    """As if the run still went on."""
    with closing(sqlite3.connect(simulated.world.root / ".remediate" / "journal.db")) as db, db:
        db.execute("DELETE FROM events WHERE seq > 5")


def without_the_run(simulated: Simulated) -> None:
    """As if it had never been."""
    with closing(sqlite3.connect(simulated.world.root / ".remediate" / "journal.db")) as db, db:
        db.execute("DELETE FROM events")


FORGERIES: dict[str, tuple[Callable[[Simulated], None], str]] = {
    "approval": (without_the_approval, "no valid envelope says so"),
    "word": (with_a_forged_word, "decision on s2-change"),
    "end": (without_its_end, "its end was cut off"),
    "run": (without_the_run, "its end was cut off"),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_what_nobody_did_is_found(ended: Simulated, what: str) -> None:
    forge, says = FORGERIES[what]
    ended.world.tampered = True
    forge(ended)
    findings = auditing.audit_runs(ended.project, None)
    assert any(says in finding for finding in findings), findings


def test_a_preview_in_a_plan_holds_no_secret(simulated: Simulated) -> None:
    project = simulated.project
    project.credentials.scrubber.add("hunter2-hunter2")
    steps = [s.model_copy(update={"preview": {"t1": "- hunter2-hunter2"}}) for s in simulated.plan.steps]
    plan = simulated.plan.model_copy(update={"steps": tuple(steps)})
    clean = planning._scrubbed(project, plan)
    assert {s.preview["t1"] for s in clean.steps} == {"- [redacted]"}
