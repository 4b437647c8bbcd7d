"""Small plans for simulated targets."""

from __future__ import annotations

from datetime import timedelta

from remediate.model.base import State
from remediate.model.change import Ticket, Window
from remediate.model.plan import Artefact, Plan, PlannedStep, PlannedWave, RunbookRef
from remediate.model.runbook import Risk, Scope
from remediate.model.step import Estimate, Level, Role, StepClass
from remediate.model.target import Target
from tests.engine.clock import START


def make_plan(
    targets: int = 2,
    changes: int = 2,
    *,
    wave: int = 0,
    budget: int = 0,
    scope: Scope = Scope.RUN,
    step_class: StepClass = StepClass.STATE_BASED,
    batch: bool = False,
    window: Window | None = None,
    soak: float = 0.0,
    patience: float = 60.0,
    irreversible: str | None = None,
    estimate: Estimate | None = None,
) -> Plan:
    """A plan of one backup, ``changes`` changes and a gate, in waves of ``wave`` targets (0: one wave)."""
    names = tuple(f"t{i}" for i in range(1, targets + 1))
    estimate = estimate or Estimate(apply=10, verify=5, undo=10)
    keys = [f"file:/{i}" for i in range(1, changes + 1)]
    all_keys: State = dict.fromkeys(keys, "old")
    steps = [
        PlannedStep(
            id="s1-backup",
            role=Role.BACKUP,
            kind="sim-backup",
            title="back up",
            params={},
            targets=names,
            step_class=StepClass.STATE_BASED,
            level=Level.COMPARED,
            estimate=estimate,
            protects=tuple(f"s{i + 1}-change" for i in range(1, changes + 1)),
            observed={n: dict(all_keys) for n in names},
        )
    ]
    steps += [
        PlannedStep(
            id=f"s{i + 1}-change",
            role=Role.CHANGE,
            kind="sim-change",
            title=f"change {i}",
            params={"batch": batch},
            targets=names,
            step_class=step_class,
            estimate=estimate,
            observed={n: {keys[i - 1]: "old"} for n in names},
            irreversible=irreversible if i == 1 else None,
            undoable=True,
        )
        for i in range(1, changes + 1)
    ]
    size = wave or targets
    return Plan(
        id="p-1", tool_version="0", created=START, expires=START + timedelta(days=1), author="alice",
        ticket=Ticket(id="T-1"), inputs={}, inventory="inv", inventory_digest="0" * 64,
        runbook=RunbookRef(name="sim", source=Artefact(path="runbooks/sim.py", sha256="0" * 64, size=1)),
        targets=tuple(Target(name=n, address=n) for n in names),
        waves=tuple(PlannedWave(targets=names[i : i + size], soak=soak) for i in range(0, targets, size)),
        failure_budget=budget, rollback=scope, steps=tuple(steps),
        risk=Risk(outage="none", data_loss="none"), window=window, doubt_patience=patience,
    )  # fmt: skip
