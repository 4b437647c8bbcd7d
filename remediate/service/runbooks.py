"""Use case: what runbooks are there, and what do they take."""

from __future__ import annotations

from remediate.model.runbook import Runbook
from remediate.planning.load import Loaded, find_runbook, load_runbooks
from remediate.report.runbooks import InputField, RunbookSummary, SymptomRow
from remediate.service.project import Project


def summaries(project: Project) -> list[RunbookSummary]:
    """All runbooks of the project."""
    return [_summary(r) for r in load_runbooks(project.config.runbooks, project.root).values()]


def summary(project: Project, name: str) -> RunbookSummary:
    """One runbook."""
    return _summary(find_runbook(name, project.config.runbooks, project.root))


def _summary(loaded: Loaded) -> RunbookSummary:
    runbook = loaded.runbook
    waves, risk = runbook.strategy, runbook.risk
    return RunbookSummary(
        name=loaded.name,
        source=loaded.source.path,
        description=runbook.description(),
        targets=runbook.targets,
        strategy=f"canary {waves.canary}, then {waves.then}, failure budget {waves.failure_budget}, "
        f"rolls back the {waves.rollback}",
        risk=f"{risk.level}: outage {risk.outage}; data loss {risk.data_loss}",
        inputs=_inputs(runbook),
        symptoms=tuple(SymptomRow(s.pattern, s.means, s.where) for s in runbook.symptoms),
    )


def _inputs(runbook: type[Runbook]) -> tuple[InputField, ...]:
    schema = runbook.Inputs.model_json_schema()
    required = set(schema.get("required", ()))
    return tuple(
        InputField(
            name=name,
            type=str(field.get("type", "value")),
            required=name in required,
            default="" if name in required else str(field.get("default", "")),
            description=str(field.get("description", "")),
        )
        for name, field in schema.get("properties", {}).items()
    )
