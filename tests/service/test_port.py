"""How the engine's port uses steps and checks: connections, attempts, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from remediate.adapters.clients import ClientPool
from remediate.engine.port import Job
from remediate.model.base import State
from remediate.model.plan import Plan, PlannedCheck
from remediate.model.step import Check, CheckResult, Clients, Context, Probe, Result, Step, StepClass, Verdict
from remediate.model.target import Target
from remediate.service.contexts import Contexts
from remediate.service.port import AdapterPort
from tests.engine.sim import make_plan

SECRET = "hunter2-hunter2"


class Said(Step):
    """Says a secret wherever it can, and remembers who used which connections."""

    kind: ClassVar[str] = "test-port-said"
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    used: ClassVar[list[Clients]] = []
    at_work: ClassVar[set[str]] = set()

    def title(self) -> str:
        return "say it"

    def observe(self, context: Context) -> State:
        self.used.append(context.clients)
        return {"file:/1": "old"}

    def apply(self, context: Context) -> Result:
        return Result(summary=f"with {SECRET}", detail=SECRET)

    def undo(self, context: Context) -> Result:
        return Result(summary=SECRET)

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        return (CheckResult(title=SECRET, ok=True, expected=SECRET, actual=SECRET),)

    def quiesce(self, context: Context) -> bool:
        return str(context.token) not in self.at_work

    def probe(self, context: Context) -> Probe:
        return Probe(verdict=Verdict.UNKNOWN, evidence=SECRET)


class Asked(Check):
    """Is never content."""

    kind: ClassVar[str] = "test-port-asked"

    def title(self, target: Target) -> str:
        return f"ask {target.name}"

    def run(self, context: Context) -> CheckResult:
        Said.used.append(context.clients)
        return CheckResult(title="asked", ok=False, expected="yes", actual=f"no, {SECRET}")


class NoSecrets:
    """None are needed."""

    def resolve(self, reference: str) -> str:
        """Nothing is known."""
        raise AssertionError(reference)


@pytest.fixture
def plan() -> Plan:
    """One step on one target, with one check of its own and one at the end."""
    made = make_plan(targets=1, changes=1)
    check = PlannedCheck(kind=Asked.kind, params={})
    step = made.steps[1].model_copy(update={"kind": Said.kind, "params": {}, "checks": (check,)})
    return made.model_copy(update={"steps": (step,)})


@pytest.fixture
def pool() -> Iterator[ClientPool]:
    """The run's connections."""
    Said.used.clear()
    Said.at_work.clear()
    with ClientPool() as clients:
        yield clients


@pytest.fixture
def port(plan: Plan, pool: ClientPool, tmp_path: Path) -> Iterator[AdapterPort]:
    """Over these steps."""
    contexts = Contexts("r-1", pool, NoSecrets(), tmp_path, tmp_path / "work")

    def scrub(text: str) -> str:
        return text.replace(SECRET, "[redacted]")

    frozen = {2.0: "change freeze: sale"}
    made = AdapterPort(plan, contexts, lambda _: "", scrub, 1, lambda now: frozen.get(now, ""))
    yield made
    made.close()


JOB = Job("t1", 1)


def test_nothing_that_a_step_says_holds_a_secret(port: AdapterPort) -> None:
    said = [
        *port.apply("s2-change", [JOB]).values(),
        *port.undo("s2-change", [JOB]).values(),
        *port.verify("s2-change", [JOB])["t1"],
        *port.accept("t1"),
        port.probe("s2-change", JOB),
    ]
    text = "\n".join(answer.model_dump_json() for answer in said)
    assert SECRET not in text
    assert text.count("[redacted]") == 9


def test_a_step_is_verified_by_its_own_read_and_by_its_checks(port: AdapterPort) -> None:
    results = port.verify("s2-change", [JOB])["t1"]
    assert [r.ok for r in results] == [True, False]


def test_the_final_read_and_checks_use_connections_of_their_own(port: AdapterPort, pool: ClientPool) -> None:
    port.inspect("t1")
    assert Said.used == [pool]
    port.read_back("t1")
    port.accept("t1")
    _, read, asked = Said.used
    assert read is not pool
    assert asked is not pool
    assert asked is not read


def test_an_attempt_at_work_is_waited_for(port: AdapterPort) -> None:
    assert port.quiesce("s2-change", JOB)
    Said.at_work.add("r-1.s2-change.1")
    assert not port.quiesce("s2-change", JOB)


def test_an_undo_at_work_is_waited_for(port: AdapterPort) -> None:
    Said.at_work.add("r-1.s2-change-undo.2")
    assert port.quiesce("s2-change", JOB)
    assert not port.quiesce("s2-change", Job("t1", 1, undo_attempts=2))


def test_a_freeze_stops_a_step(port: AdapterPort) -> None:
    assert port.authorise(1.0) == ""
    assert port.authorise(2.0) == "change freeze: sale"
