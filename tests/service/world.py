"""A project whose only target is this machine, run by the use cases themselves, with a clock of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from remediate.errors import Exit
from remediate.lab.keys import key_pair
from remediate.model.event import Event
from remediate.model.plan import Plan
from remediate.service import approving, planning
from remediate.service.auditing import audit_runs
from remediate.service.project import Project
from remediate.service.running import Screen, execute

RUNBOOK = '''
from remediate.authoring import Command, File, HostBackup, Risk, Runbook
from remediate.model.step import Estimate

QUICK = Estimate(apply=1, verify=1, undo=1)


class Write(Runbook):
    """Write one file."""

    class Inputs(Runbook.Inputs):
        path: str
        fail: bool = False

    risk = Risk(outage="none", data_loss="none")
    doubt_patience = 2.0

    def steps(self, inputs):
        yield File(
            path=inputs.path,
            content="new\\n",
            estimate=QUICK,
            protect=[HostBackup(files=[inputs.path], estimate=QUICK)],
            verify=[Command(["false"])] if inputs.fail else [],
        )
'''
SETTINGS = """
[people.alice]
logins = ["{login}"]
roles = ["engineer"]

[people.carol]
principals = ["carol@lab"]
roles = ["change-manager"]

[people.dan]
principals = ["dan@lab"]
roles = ["change-manager"]
"""


@dataclass
class World:
    """The project's folder and its clock, which goes as the real one does but can be put forward."""

    root: Path
    ahead: float = 0.0
    seen: list[Event] = field(default_factory=list)
    tampered: bool = False
    """The test itself has spoilt what an audit looks at."""

    @classmethod
    def make(cls, root: Path) -> World:
        """With one runbook, one ticket, and keys for carol and dan."""
        import pwd

        world = cls(root)
        for name in ("runbooks", "inventory", "tickets/T-1", "keys"):
            (root / name).mkdir(parents=True)
        (root / "runbooks" / "write.py").write_text(RUNBOOK)
        host = "here: {ansible_connection: local, ansible_python_interpreter: /usr/bin/python3}"
        (root / "inventory" / "hosts.yml").write_text(f"all:\n  hosts:\n    {host}\n")
        world.settings("")
        (root / "tickets/T-1/ticket.md").write_text("---\nsubject: s\nrequester: eve\n---\n")
        lines = []
        for person in ("carol", "dan"):
            public = " ".join(key_pair(root / "keys" / person, person).split()[:2])
            lines.append(f'{person}@lab namespaces="remediate-plan@remediate" {public}\n')
        (root / "allowed_signers").write_text("".join(lines))
        assert pwd.getpwuid(os.getuid()).pw_name
        return world

    def settings(self, more: str) -> None:
        """Write ``remediate.toml``."""
        import pwd

        login = pwd.getpwuid(os.getuid()).pw_name
        (self.root / "remediate.toml").write_text(SETTINGS.replace("{login}", login) + more)

    def clock(self) -> float:
        """Now, and what it was put forward by."""
        return time.time() + self.ahead

    @property
    def project(self) -> Project:
        """Opened anew, as each command does."""
        project = Project.open(self.root)
        project.clock = self.clock
        return project

    @property
    def file(self) -> Path:
        """What the runbook writes."""
        return self.root / "target"

    def plan(self, name: str = "fix.plan.json", window: str = "", fail: bool = False) -> Plan:
        """Planned, saved, announced."""
        project = self.project
        settings = [f"path={self.file}", f"fail={str(fail).lower()}"]
        made = planning.make_plan(
            project,
            "write",
            ticket="T-1",
            settings=settings,
            window=planning.window_of(project, window) if window else None,
        )
        planning.save_plan(made, self.root / name)
        planning.announce(project, made)
        return made

    def approve(self, name: str = "fix.plan.json", person: str = "carol") -> None:
        """Signed."""
        approving.approve(self.project, self.root / name, self.root / "keys" / person)

    def run(self, name: str = "fix.plan.json", interrupted: Callable[[], bool] = lambda: False) -> Exit:
        """Execute."""
        screen = Screen(lambda _, event: self.seen.append(event), interrupted)
        return execute(self.project, self.root / name, screen)

    def done(self, name: str = "fix.plan.json") -> Plan:
        """Planned, approved and run."""
        plan = self.plan(name)
        self.approve(name)
        assert self.run(name) is Exit.VERIFIED_NEW
        return plan

    def audit(self) -> None:
        """All runs, by the checker and their ticket."""
        assert audit_runs(self.project, None) == []


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A fresh one; what ran in it is judged at the end."""
    made = World.make(tmp_path / "project")
    yield made
    if not made.tampered:
        made.audit()
