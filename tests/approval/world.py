"""A small project with people, keys and a plan, for the tests of approvals."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from remediate.approval.envelope import Decision, Envelope, Evidence
from remediate.approval.policy import Standing, evaluate
from remediate.approval.signing import sign
from remediate.approval.verifying import Approval, verify
from remediate.config import Config, load_config
from remediate.model.change import Ticket
from remediate.model.plan import Artefact, Plan, PlannedStep, PlannedWave, RunbookRef
from remediate.model.runbook import Risk, RiskLevel
from remediate.model.step import Role, StepClass
from remediate.model.target import Target

NOW = datetime(2026, 11, 22, 21, 0, tzinfo=UTC)
SETTINGS = """
[people.ann]
principals = ["ann@example.org", "ann@laptop"]
logins = ["ann", "a.smith@example.org"]
roles = ["change-manager"]

[people.bob]
principals = ["bob@example.org"]
logins = ["bob"]
roles = ["change-manager"]

[people.cat]
principals = ["cat@example.org"]
logins = ["cat", "cat.admin"]
roles = ["change-manager"]

[people.dan]
principals = ["dan@example.org"]
logins = ["dan", "root"]
roles = ["engineer"]
"""


def keygen(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ssh-keygen, which must succeed."""
    return subprocess.run(
        ["ssh-keygen", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new key; the path of its private half."""
    keygen("-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path))
    return path


def public_text(key: Path) -> str:
    """``TYPE BASE64`` of a key."""
    return " ".join(key.with_name(f"{key.name}.pub").read_text().split()[:2])


def make_plan(**changes: Any) -> Plan:
    """A small plan by dan for the ticket of a customer."""
    values: dict[str, Any] = {
        "id": "p-1",
        "tool_version": "0.1.0",
        "created": NOW - timedelta(hours=1),
        "expires": NOW + timedelta(days=7),
        "author": "dan",
        "ticket": Ticket(id="1", requester="customer@example.net"),
        "runbook": RunbookRef(name="r", source=Artefact(path="runbooks/r.py", sha256="0" * 64, size=1)),
        "inputs": {},
        "inventory": "inventory",
        "inventory_digest": "0" * 64,
        "targets": (Target(name="web1", address="192.0.2.1"),),
        "waves": (PlannedWave(targets=("web1",)),),
        "steps": (),
        "risk": Risk(outage="none", data_loss="none"),
    }
    return Plan(**(values | changes))


def irreversible_step() -> PlannedStep:
    """A step that nothing can undo."""
    return PlannedStep(
        id="s1",
        role=Role.CHANGE,
        kind="any",
        title="drop the old table",
        params={},
        targets=("web1",),
        step_class=StepClass.OPAQUE,
        irreversible="the data is gone",
    )


def risky(level: RiskLevel) -> Risk:
    """A risk of this level."""
    return Risk(level=level, outage="none", data_loss="none")


@dataclass
class World:
    """The project folder, one key for each person, and the plan."""

    root: Path
    plan: Plan = field(default_factory=make_plan)
    signers: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, root: Path) -> World:
        """Ann, Bob, Cat and Dan, each with a key in the allowed signers file."""
        world = cls(root)
        world.settings(SETTINGS)
        for name in ("ann", "bob", "cat", "dan"):
            world.allow(f"{name}@example.org", make_key(root / name))
        return world

    @property
    def config(self) -> Config:
        """The settings as they are now."""
        return load_config(self.root, {})

    def settings(self, text: str) -> None:
        """Write `remediate.toml`."""
        (self.root / "remediate.toml").write_text(text)

    def allow(self, principals: str, key: Path, options: str = "") -> None:
        """One more line in the allowed signers file."""
        self.signers.append(f"{principals} {options} {public_text(key)}".replace("  ", " "))
        self.write_signers()

    def write_signers(self) -> None:
        """Write the allowed signers file."""
        (self.root / "allowed_signers").write_text("# who may approve\n" + "\n".join(self.signers) + "\n")

    def sign(self, who: str, decision: Decision = Decision.APPROVE, **more: Any) -> Envelope:
        """A decision by this person's own key."""
        more = {"now": NOW, "plan": self.plan, **more}
        return sign(more.pop("plan"), decision, self.root / who, self.config, **more)

    def verify(self, envelope: Envelope | bytes, **more: Any) -> Approval:
        """Verify with this project's settings."""
        data = envelope if isinstance(envelope, bytes) else envelope.data
        more = {"plan": self.plan, "config": self.config, "now": NOW, **more}
        return verify(Evidence("e.json", data), **more)

    def evaluate(self, *envelopes: Envelope, **more: Any) -> Standing:
        """Evaluate these envelopes."""
        found = [Evidence(f"{i}-{e.payload.principal}.json", e.data) for i, e in enumerate(envelopes)]
        more = {"plan": self.plan, "config": self.config, "now": NOW, **more}
        return evaluate(envelopes=found, **more)
