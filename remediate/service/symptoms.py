"""Which runbooks have a symptom that a diagnosis shows, and how to plan each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import islice

from remediate.adapters.diagnosis.values import Collected
from remediate.errors import RemediateError
from remediate.inventory import Inventory
from remediate.model.runbook import Symptom
from remediate.planning.load import Loaded, load_runbooks
from remediate.report.diagnosis import Suggestion
from remediate.service.project import Project

#: A longer line is looked at only so far: a pattern may be slow.
_LONGEST_LINE = 2000


def suggestions(
    project: Project, inventory: Inventory, collected: Sequence[Collected], ticket: str
) -> tuple[list[Suggestion], str]:
    """Runbooks that may help, and what keeps others from being found (or nothing)."""
    try:
        runbooks = load_runbooks(project.config.runbooks, project.root)
    except RemediateError as error:
        return [], f"no runbook could be looked at: {error.problem}"
    found: list[Suggestion] = []
    for loaded in runbooks.values():
        # One symptom is enough of a reason.
        found += islice(_matches(project, inventory, loaded, collected, ticket), 1)
    return found, ""


def _matches(
    project: Project, inventory: Inventory, loaded: Loaded, collected: Sequence[Collected], ticket: str
) -> Iterator[Suggestion]:
    """One for each symptom that is found on a target of this runbook."""
    for symptom in loaded.runbook.symptoms:
        lines = {c.target: line for c in collected if (line := first_line(symptom, c))}
        if not lines:
            continue
        targets = [name for name in _targets(inventory, loaded) if name in lines]
        if targets:
            yield Suggestion(
                runbook=loaded.name,
                means=symptom.means or f"a line matches {symptom.pattern!r}",
                targets=tuple(targets),
                evidence=project.scrub(lines[targets[0]]),
                command=_command(loaded, targets, ticket),
            )


def first_line(symptom: Symptom, collected: Collected) -> str:
    """The first line of the diagnosis that shows this symptom; empty if none does."""
    pattern = re.compile(symptom.pattern)
    for line in collected.lines(symptom.where):
        if pattern.search(line[:_LONGEST_LINE]):
            return line[:_LONGEST_LINE].strip()
    return ""


def _targets(inventory: Inventory, loaded: Loaded) -> Sequence[str]:
    try:
        return inventory.select(loaded.runbook.targets)
    except RemediateError:
        return ()


def _command(loaded: Loaded, targets: Sequence[str], ticket: str) -> str:
    words = ["remediate", "plan", loaded.name, "--ticket", ticket, "--limit", ",".join(targets)]
    schema = loaded.runbook.Inputs.model_json_schema()
    for name in schema.get("required", ()):
        words += ["--set", f"{name}=…"]
    return shlex.join([*words, "-o", f"{loaded.name}.plan.json"])
