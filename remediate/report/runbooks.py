"""Runbooks as documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from remediate.report.document import Document, Heading, Paragraph, facts, table


@dataclass(frozen=True, slots=True)
class InputField:
    """One input, as ``--set`` takes it."""

    name: str
    type: str
    required: bool
    default: str
    description: str


@dataclass(frozen=True, slots=True)
class RunbookSummary:
    """What a person has to know before planning with it."""

    name: str
    source: str
    description: str
    targets: str
    strategy: str
    risk: str
    inputs: tuple[InputField, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def list_document(found: Sequence[RunbookSummary]) -> Document:
    """All runbooks, a line each."""
    rows = [(r.name, r.description.splitlines()[0], r.targets) for r in found]
    return Document("Runbooks", (table(("name", "what it fixes", "targets"), rows),))


def runbook_document(found: RunbookSummary) -> Document:
    """One runbook with its inputs."""
    rows = [
        (f.name, f.type, "required" if f.required else f"default {f.default or 'empty'}", f.description)
        for f in found.inputs
    ]
    command = " ".join(f"--set {f.name}=…" for f in found.inputs if f.required)
    return Document(
        found.name,
        (
            Paragraph(found.description),
            facts(
                ("source", found.source),
                ("targets", found.targets),
                ("strategy", found.strategy),
                ("risk", found.risk),
            ),
            Heading("Inputs"),
            table(("name", "type", "", "meaning"), rows),
            Paragraph(f"remediate plan {found.name} --ticket ID {command} -o FILE.plan.json"),
        ),
    )
