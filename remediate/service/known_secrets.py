"""What an audit knows of secrets, and which of a run's writings it looks for them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from remediate.errors import RemediateError
from remediate.model.plan import Plan
from remediate.service.project import Project

_SCHEMES = ("env:", "file:", "command:")
#: Larger files are not looked through (bytes).
_LARGEST = 8_000_000


def learn(project: Project, plan: Plan) -> None:
    """Resolve all references of the settings and of the plan that have a value here and now."""
    config = project.config
    nouns = [config.ticket.settings, config.backups.identity]
    nouns += [dict(target.vars) for target in (*plan.targets, *plan.peers)]
    nouns += [plan.inputs, *(dict(step.params) for step in plan.steps)]
    for reference in dict.fromkeys(_references(nouns)):
        with suppress(RemediateError):
            project.credentials.resolve(reference)


def _references(value: object) -> Iterator[str]:
    match value:
        case str() if value.startswith(_SCHEMES):
            yield value
        case Mapping():
            for inner in value.values():
                yield from _references(inner)
        case Sequence() if not isinstance(value, str):
            for inner in value:
                yield from _references(inner)


def writings(project: Project, run: str) -> dict[str, str]:
    """Texts in the run's folder, by path. Not its workspace: a backup holds what its target held."""
    folder = project.config.state / "runs" / run
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        inside = path.relative_to(folder)
        if inside.parts[0] != "work" and path.stat().st_size <= _LARGEST:
            found[f"runs/{run}/{inside}"] = path.read_bytes().decode(errors="replace")
    return found
