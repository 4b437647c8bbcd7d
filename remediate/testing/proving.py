"""What `prove_rollback` does and returns."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediate.lab.lab import hosts
from remediate.model.proof import CaseResult, Moment, Proof
from remediate.report.proof import case_line, verdict
from remediate.service.project import Project
from remediate.service.proof.prove import Asked, Audience, prove


@dataclass(frozen=True, slots=True)
class Proving:
    """A proof, with what a test asks of it."""

    proof: Proof

    @property
    def restored(self) -> bool:
        """Whether every case was tried, and everything went back each time."""
        return self.proof.restored

    @property
    def results(self) -> tuple[CaseResult, ...]:
        """One for each case."""
        return self.proof.results

    @property
    def not_restored(self) -> list[str]:
        """What differed afterwards: ``web1: file:/etc/hosts: mode 0644 → 0600``."""
        return list(dict.fromkeys(str(d) for r in self.proof.results for d in r.differences))

    def check(self) -> None:
        """Fail the test unless everything was restored; the message names what was not.

        Raises:
            AssertionError: it was not.
        """
        __tracebackhide__ = True
        if not self.restored:
            bad = [r for r in self.proof.results if r.ending != "restored"]
            lines = [f"the rollback of {self.proof.runbook} is not proved: {verdict(self.proof)}"]
            raise AssertionError("\n  ".join([*lines, *map(case_line, bad)]))


def prover(project: Project, say: Callable[[str], None]) -> Callable[..., Proving]:
    """The function that the fixture gives."""

    def prove_rollback(
        runbook: str,
        *,
        limit: str | None = None,
        steps: Sequence[str] = (),
        moments: Sequence[str] = (),
        watch: Sequence[str] = (),
        inventory: Path | None = None,
        **inputs: Any,
    ) -> Proving:
        """Break a runbook, let it roll back, compare. Options are those of `remediate test`.

        Args:
            runbook: its name on the command line.
            limit: only these of its targets.
            steps, moments: break only these, only then.
            watch: more folders of hosts to compare.
            inventory: another one than the project's.
            inputs: the runbook's own; whatever JSON can say.
        """
        asked = Asked(
            runbook=runbook,
            settings=[f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in inputs.items()],
            inventory=inventory,
            limit=limit,
            steps=steps,
            moments=[Moment(m) for m in moments],
            watch=watch,
        )

        def done(number: int, of: int, result: CaseResult) -> None:
            say(f"{number}/{of} {case_line(result)}")

        return Proving(prove(project, asked, Audience(say, done), hosts()))

    return prove_rollback
