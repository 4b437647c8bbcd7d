"""The use cases over simulated targets: nothing of Ansible, no host; a run takes a tenth of a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import remediate
from remediate.errors import Exit
from remediate.journal.holder import this_process
from remediate.model.base import sha256
from remediate.model.change import Ticket
from remediate.model.plan import Artefact, Plan, RunbookRef
from remediate.service import approving, running
from remediate.service.project import Project
from remediate.service.running import Screen
from tests.engine import sim
from tests.service.world import World

RUNBOOK = "runbooks/write.py"


@dataclass
class Targets(sim.World):
    """Simulated targets in the place of the adapters."""

    asks: Callable[[float], str] = lambda _: ""

    def port(self, _plan: Plan, _contexts: object, authorised: Callable[[float], str], *more: Any) -> Any:
        """What the use cases call to get a port."""
        frozen = more[-1]
        self.asks = lambda now: authorised(now) or frozen(now)
        return self

    def authorise(self, now: float) -> str:
        """As the use cases say."""
        return self.asks(now) or self.refuse

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Simulated:
    """A project, a plan for simulated targets, and the file that it is saved in."""

    world: World
    plan: Plan = field(init=False)
    targets: Targets = field(init=False)
    host_gone: bool = False
    inventory_digest: str = "0" * 64

    def __post_init__(self) -> None:
        self.has()

    @property
    def file(self) -> Path:
        """The plan's."""
        return self.world.root / "fix.plan.json"

    @property
    def project(self) -> Project:
        """Opened anew."""
        return self.world.project

    def has(self, **changes: Any) -> None:
        """Make the plan anew, with these fields changed, and save it."""
        source = (self.world.root / RUNBOOK).read_bytes()
        now = approving.now(self.project).replace(microsecond=0)
        values = {
            "tool_version": remediate.__version__,
            "created": now,
            "expires": now + timedelta(days=7),
            "author": self.project.my_logins[0],
            "ticket": Ticket(id="T-1", system="file", subject="s", requester="eve"),
            "runbook": RunbookRef(
                name="write", source=Artefact(path=RUNBOOK, sha256=sha256(source), size=len(source))
            ),
            "inventory": "inventory/hosts.yml",
        }
        made = sim.make_plan(targets=2, changes=1, patience=2.0)
        self.plan = made.model_copy(update=values | changes)
        self.file.write_bytes(self.plan.data)
        self.targets = Targets(self.plan, sim.Clock())

    def approve(self, person: str = "carol") -> None:
        """Signed."""
        approving.approve(self.project, self.file, self.world.root / "keys" / person)

    def run(self, project: Project | None = None, screen: Screen | None = None) -> Exit:
        """As ``remediate run`` of the plan's file."""
        return running.execute(project or self.project, self.file, screen or Screen(), self.targets.port)

    def execution(self, project: Project | None = None) -> running._Execution:
        """A process's part in the run, which it has the lease of."""
        project = project or self.project
        run = f"r-{self.plan.digest[:8]}"
        lease = project.journal.acquire(run, self.plan.by_name, this_process(), self.world.clock(), 60)
        return running._Execution(project, run, self.plan, lease, Screen(), self.targets.port)


@pytest.fixture
def simulated(world: World, monkeypatch: pytest.MonkeyPatch) -> Simulated:
    """A fresh one, whose inventory is what it was."""
    made = Simulated(world)

    def load(*_: object) -> object:
        hosts = {} if made.host_gone else made.plan.by_name
        return SimpleNamespace(hosts=hosts, digest=made.inventory_digest)

    monkeypatch.setattr(Project, "inventory", load)
    for module in ("running", "project"):
        # No step type of a simulated plan is one of those.
        monkeypatch.setattr(f"remediate.service.{module}.load_extensions", lambda: None)
    return made
