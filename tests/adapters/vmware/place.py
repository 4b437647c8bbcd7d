"""A project over the lab's hosts, whose runs are started in this process or from the command line."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from remediate.errors import Exit
from remediate.lab.inventory import write_inventory
from remediate.lab.keys import key_pair
from remediate.model.event import Event, Outcome, Settled, Verb
from remediate.model.plan import Plan
from remediate.service import approving, planning
from remediate.service.project import Project
from remediate.service.running import Screen, execute
from tests.adapters.vmware.world import LAYOUT, TOTAL, World
from tests.e2e.world import PROGRAM, REPO, Running

RUNBOOK = '''
from remediate.authoring import Command, File, Http, Risk, Runbook, Service, VmSnapshot, Waves


class Motd(Runbook):
    """Write a new message of the day."""

    class Inputs(Runbook.Inputs):
        fail: bool = False
        service: str = ""

    targets = "web"
    strategy = Waves(canary=0, then="100%")
    risk = Risk(outage="none", data_loss="what the guest wrote since, when it is rolled back")
    doubt_patience = 10.0

    def steps(self, inputs):
        guard = VmSnapshot(headroom="1 GiB")
        if inputs.service:
            healthy = Http("http://{target.address}/healthz", within="30s")
            yield Service(name=inputs.service, state="stopped", protect=[guard], verify=[healthy])
        yield File(
            path="/etc/motd",
            content="new\\n",
            protect=[guard],
            verify=[Command(["false"])] if inputs.fail else [],
        )
'''
SETTINGS = """
[project]
inventory = "inventory"

[ssh]
known_hosts = "{known_hosts}"

[people.alice]
logins = ["{login}"]
roles = ["engineer"]

[people.carol]
principals = ["carol@lab"]
roles = ["change-manager"]
"""


@dataclass
class Place:
    """A project over the lab's hosts."""

    root: Path
    seen: list[Event] = field(default_factory=list)
    started: list[Running] = field(default_factory=list)

    @classmethod
    def make(cls, root: Path) -> Place:
        """With one runbook, one ticket, and a key for carol."""
        for name in ("runbooks", "tickets/T-1", "keys"):
            (root / name).mkdir(parents=True)
        (root / "runbooks" / "motd.py").write_text(RUNBOOK)
        write_inventory(root / "inventory", TOTAL, LAYOUT)
        login = pwd.getpwuid(os.getuid()).pw_name
        (root / "remediate.toml").write_text(SETTINGS.format(known_hosts=LAYOUT.known_hosts, login=login))
        (root / "tickets/T-1/ticket.md").write_text("---\nsubject: s\nrequester: eve\n---\n")
        public = " ".join(key_pair(root / "keys" / "carol", "carol").split()[:2])
        (root / "allowed_signers").write_text(f'carol@lab namespaces="remediate-plan@remediate" {public}\n')
        return cls(root)

    @property
    def project(self) -> Project:
        """Opened anew, as each command does."""
        return Project.open(self.root)

    def plan(self, *settings: str) -> Plan:
        """Planned, saved and approved."""
        made = planning.make_plan(self.project, "motd", ticket="T-1", settings=settings)
        planning.save_plan(made, self.root / "fix.plan.json")
        planning.announce(self.project, made)
        approving.approve(self.project, self.root / "fix.plan.json", self.root / "keys" / "carol")
        return made

    def run(self) -> Exit:
        """Execute it."""
        screen = Screen(lambda _, event: self.seen.append(event), lambda: False)
        return execute(self.project, self.root / "fix.plan.json", screen)

    def start(self, *words: str, **settings: str) -> Running:
        """Begin ``remediate WORDS`` in a process of its own; settings are of its environment."""
        files = self.root / "out", self.root / "err"
        env = {"PATH": os.environ["PATH"], "HOME": str(self.root), "LANG": "C.UTF-8", "COLUMNS": "200"}
        with files[0].open("wb") as out, files[1].open("wb") as err:
            process = subprocess.Popen(
                [PROGRAM, *words],
                cwd=self.root,
                env=env | {"PYTHONPATH": str(REPO)} | settings,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.started.append(Running(process, ("remediate", *words), files))
        return self.started[-1]

    def end(self) -> None:
        """Nothing that was started goes on."""
        for running in self.started:
            if running.process.poll() is None:
                running.kill()

    def execute(self, **settings: str) -> int:
        """``remediate run`` of the plan; see `ended`."""
        return self.ended(self.start("run", "fix.plan.json", **settings))

    def ended(self, running: Running) -> int:
        """Wait for the end of a run; what it recorded is `seen` then. Returns its exit code."""
        done = running.wait()
        assert "Traceback" not in done.said, done.said
        self.seen = list(self.project.journal.events(self.project.find_run("last")))
        return done.code

    def finals(self) -> dict[str, str]:
        """How each target ended."""
        return {e.body.target: e.body.final.value for e in self.seen if isinstance(e.body, Settled)}

    def outcomes(self, verb: Verb, kind: str) -> list[Outcome]:
        """Outcomes of the steps of this kind."""
        bodies = [e.body for e in self.seen if isinstance(e.body, Outcome)]
        return [b for b in bodies if b.verb is verb and b.step.endswith(kind)]

    @property
    def log(self) -> str:
        """What stands on the ticket."""
        return (self.root / "tickets/T-1/log.md").read_text()


def motds(world: World) -> list[bytes]:
    """The message of the day on both hosts, as this machine sees it."""
    return [world.file(name, "/etc/motd").read_bytes() for name in ("web1", "web2")]
