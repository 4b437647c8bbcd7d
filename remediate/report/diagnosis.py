"""A diagnosis as a document: what stands out, which runbooks may help, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from remediate.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Document,
    Heading,
    Notice,
    Paragraph,
    Severity,
    Style,
    facts,
    table,
)
from remediate.report.words import count, names

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target. ``problem`` is why it could not be read at all; empty if it could."""

    name: str
    problem: str
    findings: tuple[str, ...]
    missing: tuple[str, ...]
    parts: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A runbook whose symptom was found: where, in which line, and the command that plans it."""

    runbook: str
    means: str
    targets: tuple[str, ...]
    evidence: str
    command: str


@dataclass(frozen=True, slots=True)
class DiagnosisReport:
    """A diagnosis in short."""

    id: str
    ticket: str
    taken: str
    targets: tuple[TargetRow, ...]
    suggestions: tuple[Suggestion, ...]
    notes: tuple[str, ...] = ()
    bundle: str = ""

    @property
    def unread(self) -> tuple[TargetRow, ...]:
        """Targets that could not be read."""
        return tuple(t for t in self.targets if t.problem)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def diagnosis_document(found: DiagnosisReport) -> Document:
    """The page of a diagnosis."""
    return Document(
        f"Diagnosis {found.id}",
        (
            facts(
                ("ticket", found.ticket),
                ("taken", found.taken),
                ("targets", f"{count(len(found.targets), 'target')}, {len(found.unread)} not read"),
                ("bundle", found.bundle),
            ),
            *(Notice(Severity.WARNING, f"{t.name} could not be read: {t.problem}") for t in found.unread),
            *(Notice(Severity.WARNING, note) for note in found.notes),
            Heading("What stands out"),
            *_findings(found.targets),
            Heading("Runbooks that may help"),
            *_suggestions(found.suggestions),
            *_missing(found.targets),
        ),
    )


def _findings(targets: Sequence[TargetRow]) -> Iterator[Block]:
    rows = []
    for target in targets:
        shown, more = target.findings[:_SHOWN], len(target.findings) - _SHOWN
        rows += [(target.name, Cell(line, Style.WARN)) for line in shown]
        rows += [(target.name, Cell(f"and {more} more", Style.DIM))] if more > 0 else []
    yield table(("target", "finding"), rows) if rows else Paragraph("Nothing.")


def _suggestions(found: Sequence[Suggestion]) -> Iterator[Block]:
    if not found:
        yield Paragraph("None: no symptom of a runbook of this project was found.")
    for one in found:
        yield Heading(one.runbook, 3)
        yield facts(
            ("because", one.means), ("on", names(one.targets)), ("line", Cell(one.evidence, Style.CODE))
        )
        yield Code(one.command, "console")


def _missing(targets: Sequence[TargetRow]) -> Iterator[Block]:
    lines = tuple(f"{t.name}: {line}" for t in targets for line in t.missing)
    if lines:
        yield Heading("Not read")
        yield Bullets(lines)
