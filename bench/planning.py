"""How long a large plan takes to compile, and how much memory, over step types that read nothing."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, cast

from remediate.model.base import State, sha256
from remediate.model.change import Ticket
from remediate.model.plan import Artefact, Plan
from remediate.model.runbook import Risk, Runbook, Waves
from remediate.model.step import Context, Probe, Result, Role, Step, StepClass, Token, Verdict
from remediate.model.target import Target
from remediate.planning.compile import Order, compile_plan
from remediate.planning.load import Loaded

CHANGES = 5  # and a backup: six steps
NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


class Kept(Step):
    """A backup of nothing."""

    kind: ClassVar[str] = "bench-kept"
    role: ClassVar[Role] = Role.BACKUP
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED

    def title(self) -> str:
        return "keep what will be changed"

    def observe(self, context: Context) -> State:
        return {key: fact for n in range(CHANGES) for key, fact in _facts(n, context).items()}

    def apply(self, context: Context) -> Result:  # noqa: ARG002
        return Result()

    def probe(self, context: Context) -> Probe:  # noqa: ARG002
        return Probe(verdict=Verdict.APPLIED)


class Made(Kept):
    """A change of one file, with the facts and the preview of a real one."""

    kind: ClassVar[str] = "bench-made"
    role: ClassVar[Role] = Role.CHANGE

    number: int

    def title(self) -> str:
        return f"write /etc/bench-{self.number}"

    def protection(self) -> tuple[Step, ...]:
        return (Kept(),)

    def observe(self, context: Context) -> State:
        return _facts(self.number, context)

    def preview(self, context: Context) -> str:
        return (
            f"--- /etc/bench-{self.number}\n+++ /etc/bench-{self.number}\n-old\n+new {context.target.name}\n"
        )


def _facts(number: int, context: Context) -> State:
    path = f"/etc/bench-{number}"
    digest = sha256(f"{path} {context.target.name}".encode())
    return {f"file:{path}": {"kind": "file", "mode": "0644", "uid": 0, "gid": 0, "size": 3, "sha256": digest}}


class Large(Runbook):
    """Change five files everywhere."""

    strategy = Waves(canary=1, then="25%")
    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs: object) -> Iterator[Step]:  # noqa: ARG002
        for number in range(CHANGES):
            yield Made(number=number)


def compiled(targets: int) -> Plan:
    """A plan for so many targets, frozen: with its bytes and digest."""
    every = tuple(
        Target(
            name=f"host{n:05}.example.net", address=f"10.1.{n // 250}.{n % 250 + 1}", groups=("web", "all")
        )
        for n in range(targets)
    )
    order = Order(
        loaded=Loaded(Large, Artefact(path="runbooks/large.py", sha256="0" * 64, size=1)),
        inputs=Runbook.Inputs(),
        targets=every,
        peers=(),
        author="bench",
        ticket=Ticket(id="T-1"),
        inventory="inventory",
        inventory_digest="0" * 64,
        limit=None,
        window=None,
        created=NOW,
        expires=NOW + timedelta(days=1),
    )

    def context(step: str, target: Target) -> Context:
        nothing = cast(Any, None)
        return Context(
            target=target, token=Token("plan", step, 0), clients=nothing, secrets=nothing,
            artefacts=Path(), workspace=Path(), timeout=1.0,
        )  # fmt: skip

    made = compile_plan(order, Path(), lambda _: [t.name for t in every], context)
    assert len(made.steps) == CHANGES + 2
    assert made.digest
    return made


@dataclass(frozen=True)
class Planning:
    """Seconds; bytes of the finished plan; bytes of memory at the highest point; bytes left behind."""

    seconds: float
    size: int
    peak: int
    left: int


def measure(targets: int) -> Planning:
    """Time without tracing, then memory with it."""
    began = time.perf_counter()
    size = len(compiled(targets).data)
    seconds = time.perf_counter() - began
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        compiled(targets)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return Planning(seconds, size, peak - before, after - before)
