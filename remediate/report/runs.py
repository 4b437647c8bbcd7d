"""Lists of runs, and one run in short, as documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from remediate.model.event import Event
from remediate.model.plan import Plan
from remediate.report.document import Bullets, Document, Heading, facts, table
from remediate.report.lines import line
from remediate.report.words import titled


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run in short, derived from its events."""

    run: str
    runbook: str
    ticket: str
    started: str
    status: str
    runner: str
    targets: int
    exit_code: int | None
    doubts: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def runs_document(rows: Sequence[RunRow], project: str = "") -> Document:
    """All runs of a project with this name, a line each."""
    cells = [(r.run, r.started, r.runbook, r.ticket, str(r.targets), r.status) for r in rows]
    columns = ("run", "started (UTC)", "runbook", "ticket", "targets", "status")
    return Document(titled("Runs", project), (table(columns, cells),))


def status_document(row: RunRow, plan: Plan, events: Sequence[Event]) -> Document:
    """Where one run stands, with its newest events."""
    return Document(
        f"Run {row.run}",
        (
            facts(
                ("status", row.status),
                ("runbook", row.runbook),
                ("ticket", row.ticket),
                ("executed by", row.runner or "nobody now"),
                ("in doubt", ", ".join(row.doubts) or "nothing"),
            ),
            Heading("Newest events"),
            Bullets(tuple(line(e, plan) for e in events[-8:])),
        ),
    )
