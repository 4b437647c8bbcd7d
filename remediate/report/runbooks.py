"""Runbooks as documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from remediate.report.document import Block, Document, Heading, Paragraph, facts, table
from remediate.report.words import titled


@dataclass(frozen=True, slots=True)
class InputField:
    """One input, as ``--set`` takes it."""

    name: str
    type: str
    required: bool
    default: str
    description: str


@dataclass(frozen=True, slots=True)
class SymptomRow:
    """Text that, found in a diagnosis (in this part of it), suggests the runbook."""

    pattern: str
    means: str
    where: str = "anywhere"


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
    symptoms: tuple[SymptomRow, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def list_document(found: Sequence[RunbookSummary], project: str = "") -> Document:
    """All runbooks of a project with this name, a line each."""
    rows = [(r.name, r.description.splitlines()[0], r.targets) for r in found]
    return Document(titled("Runbooks", project), (table(("name", "what it fixes", "targets"), rows),))


def runbook_document(found: RunbookSummary) -> Document:
    """One runbook with its inputs."""
    rows = [
        (f.name, f.type, "required" if f.required else f"default {f.default or 'empty'}", f.description)
        for f in found.inputs
    ]
    words = [f"--set {f.name}=…" for f in found.inputs if f.required]
    command = " ".join(["remediate plan", found.name, "--ticket ID", *words, "-o FILE.plan.json"])
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
            *_symptoms(found),
            Heading("Inputs"),
            table(("name", "type", "", "meaning"), rows) if rows else Paragraph("It takes none."),
            Paragraph(command),
        ),
    )


def _symptoms(found: RunbookSummary) -> Iterator[Block]:
    if found.symptoms:
        yield Heading("Symptoms")
        rows = [(s.pattern, s.where, s.means) for s in found.symptoms]
        yield table(("text in a diagnosis", "where", "what it means"), rows)
