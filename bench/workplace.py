"""A project over the measured hosts, driven by the real command line."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import command
from remediate.lab.hosts import Hosts
from remediate.lab.inventory import write_inventory

REPO = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).with_name("remediate")

_SETTINGS = """\
[project]
inventory = "inventory"

[people.engineer]
logins = ["root"]
roles = ["engineer"]

[people.manager]
principals = ["manager@bench"]
roles = ["change-manager"]

[approval]
allowed_signers = "allowed_signers"

[limits]
parallel = 64
"""


@dataclass
class Workplace:
    """A project folder. Every run is planned and approved anew, because a plan is good for one run."""

    root: Path
    hosts: Hosts
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def log(self) -> Path:
        """Where programs print to."""
        return self.root / "output.log"

    def value(self) -> str:
        """One that no host has seen yet, so that every change changes something."""
        return f"v{next(self.numbers)}"

    def remediate(self, *words: str | Path) -> float:
        """Seconds that one command takes."""
        return command([PROGRAM, "--project", self.root, *words], self.log, PYTHONPATH=str(REPO))

    def approved(self, runbook: str) -> tuple[Path, float]:
        """A plan that may run, and the seconds that planning took."""
        value = self.value()
        plan = self.root / f"{value}.plan.json"
        took = self.remediate("plan", runbook, "--ticket", "T-1", "--set", f"value={value}", "-o", plan)
        self.remediate("approve", plan, "--key", self.root / "manager")
        return plan, took

    def events(self) -> list[tuple[str, float, dict[str, Any]]]:
        """Kind, time and body of every event of the newest run, read past the product."""
        newest = "(SELECT run FROM events WHERE kind = 'run-started' ORDER BY seq DESC LIMIT 1)"
        with closing(sqlite3.connect(self.root / ".remediate" / "journal.db")) as db:
            rows = db.execute(f"SELECT kind, at, body FROM events WHERE run = {newest} ORDER BY number")  # noqa: S608
            return [(kind, at, json.loads(body)) for kind, at, body in rows]


@contextmanager
def workplace(hosts: Hosts) -> Iterator[Workplace]:
    """A project with the runbooks, playbooks and settings of these benchmarks, gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="remediate-bench-", dir="/var/tmp"))
    try:
        shutil.copytree(REPO / "bench" / "project", root, dirs_exist_ok=True)
        shutil.copy(REPO / "ansible.cfg", root)
        (root / "defaults.cfg").touch()  # empty: Ansible refuses /dev/null
        write_inventory(root / "inventory", hosts.total, hosts.layout)
        (root / "remediate.toml").write_text(_SETTINGS)
        _sign_with(root / "manager", root / "allowed_signers")
        (root / "tickets" / "T-1").mkdir(parents=True)
        (root / "tickets" / "T-1" / "ticket.md").write_text("---\nsubject: benchmark\n---\n")
        yield Workplace(root, hosts)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _sign_with(key: Path, allowed: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(key)], check=True)
    kind, data = key.with_suffix(".pub").read_text().split()[:2]
    allowed.write_text(f'manager@bench namespaces="remediate-plan@remediate" {kind} {data}\n')
