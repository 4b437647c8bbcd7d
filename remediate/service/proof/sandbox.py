"""A project beside the real one: the same runbooks; a journal, ticket and keys to throw away."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from remediate.approval.envelope import NAMESPACE
from remediate.config import Config
from remediate.config.sections import Approval, CalendarSection, Journal, Person, TicketSection
from remediate.inventory import Inventory
from remediate.lab.keys import key_pair
from remediate.model.plan import Plan
from remediate.model.runbook import Scope
from remediate.service.approving import approve
from remediate.service.folders import private
from remediate.service.planning import save_plan
from remediate.service.project import Project
from remediate.tickets.file import FileTickets

TICKET = "PROOF"
_SIGNERS = ("proof-1", "proof-2")
#: Nobody waits for ten minutes for a word about a host that is there to be broken.
_PATIENCE = 30.0


@dataclass
class Steady(Project):
    """A project that reads each inventory once: a proof is about the rollback, not about who edits hosts."""

    read: dict[Path, Inventory] = field(default_factory=dict)

    def inventory(self, path: Path | None = None) -> Inventory:
        """As it was at first."""
        key = (path or self.config.inventory).resolve()
        if key not in self.read:
            self.read[key] = super().inventory(path)
        return self.read[key]


class Sandbox:
    """Throw-away projects below one folder, over the runbooks of a real one.

    The real project's journal and tickets are not touched, and its people's keys are not used: plans are
    signed with keys that are made here and good for nothing else.
    """

    def __init__(self, project: Steady, folder: Path) -> None:
        self._project, self._folder = project, folder
        lines = [
            f'{name}@proof namespaces="{NAMESPACE}" {key_pair(self._key(name), name)}\n' for name in _SIGNERS
        ]
        (folder / "allowed_signers").write_text("".join(lines))

    def _key(self, name: str) -> Path:
        return self._folder / "keys" / name

    def project(self, name: str) -> Project:
        """A project with an empty journal and one ticket."""
        folder = private(self._folder / name)
        real = self._project.config
        signers = {
            n: Person(principals=(f"{n}@proof",), logins=(f"{n}@proof",), roles=("change-manager",))
            for n in _SIGNERS
        }
        tickets = folder / "tickets"
        changed = {
            "project": real.project.model_copy(update={"state": folder}),
            "people": {**real.people, **signers},
            "approval": Approval(allowed_signers=self._folder / "allowed_signers"),
            "calendar": CalendarSection(timezone=real.calendar.timezone),
            "ticket": TicketSection.model_validate(
                {"system": "file", "file": {"path": str(tickets), "linger": 0}}
            ),
            "journal": Journal(),
        }
        config = Config(**{n: changed.get(n, getattr(real, n)) for n in Config.model_fields})
        FileTickets(tickets).create(TICKET, "prove the rollback", "nobody@proof")
        return Steady(config, self._project.clock, self._project.read)

    def approved(self, project: Project, plan: Plan) -> Path:
        """The plan in a file, under a new id and with enough signatures."""
        file = project.config.state / "proof.plan.json"
        save_plan(plan.model_copy(update={"id": f"p-{secrets.token_hex(4)}"}), file)
        for name in _SIGNERS:
            approve(project, file, self._key(name), "to prove its rollback")
        return file


def strict(plan: Plan) -> Plan:
    """The plan, but the first failure takes everything back, and doubt is not waited out for long."""
    changes = {
        "failure_budget": 0,
        "rollback": Scope.RUN,
        "doubt_patience": min(plan.doubt_patience, _PATIENCE),
    }
    return plan.model_copy(update=changes)
