"""Makes the `Context` that a step gets: the one place where run, target and connections meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from remediate.model.base import State
from remediate.model.plan import Plan
from remediate.model.step import Clients, Context, Secrets, Token
from remediate.model.target import Target
from remediate.service.folders import private


@dataclass(frozen=True, slots=True)
class Contexts:
    """What all contexts of one run (or of planning) share.

    Args:
        artefacts: folder that holds the artefacts under their project-relative names: the project itself
            while planning, verified copies while running.
        workspace: the run's own folder; each step and target gets one below it.
    """

    run: str
    clients: Clients
    secrets: Secrets
    artefacts: Path
    workspace: Path
    peers: Mapping[str, Target] = field(default_factory=dict)
    timeout: float = 600.0
    _made: set[tuple[str, str]] = field(default_factory=set, init=False, repr=False)
    """Steps and targets whose folders are there: a context is made for every look."""

    def make(
        self,
        step: str,
        target: Target,
        *,
        clients: Clients | None = None,
        attempt: int = 0,
        attempts: int = 1,
        overwrite: bool = False,
        before: State | None = None,
        data: State | None = None,
        seen: State | None = None,
    ) -> Context:
        """The context of one attempt, or of a look at a target.

        Args:
            clients: use these connections instead of the run's.
            seen: shared by all steps that are observed in one look.
        """
        folder = self.workspace / step / target.name
        if (step, target.name) not in self._made:
            private(folder)
            self._made.add((step, target.name))
        return Context(
            target=target,
            token=Token(self.run, step, attempt),
            clients=clients or self.clients,
            secrets=self.secrets,
            artefacts=self.artefacts,
            workspace=folder,
            timeout=self.timeout,
            before=before or {},
            data=data or {},
            peers=self.peers,
            attempts=attempts,
            overwrite=overwrite,
            seen=seen,
        )


def all_hosts(plan: Plan) -> dict[str, Target]:
    """Targets and peers of a plan by name."""
    return {t.name: t for t in (*plan.targets, *plan.peers)}
