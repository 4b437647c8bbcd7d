"""A whole playbook as a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import JsonValue, field_validator

from remediate.adapters.ansible import trees
from remediate.adapters.ansible.job import Job
from remediate.adapters.ansible.step import AnsibleStep, data
from remediate.model.inputs import ProjectPath
from remediate.model.step import Context, Result


class Playbook(AnsibleStep):
    """Run a playbook on all targets of the wave in one call.

    Args:
        path: project-relative; the folder that it lies in, roles and templates included, goes into the plan.

    Attributes:
        vars: extra variables, from a mapping or a pydantic model: data, never templates. A variable that
            is named like a secret holds a reference (``env:NAME``).
        secrets: more secrets, variable name to reference.
        rollback: a playbook that takes this one back, with the same variables; idempotent.
        tags, skip_tags: as on Ansible's command line.
    """

    kind: ClassVar[str] = "playbook"

    path: ProjectPath
    vars: dict[str, JsonValue] = {}
    secrets: dict[str, str] = {}
    rollback: ProjectPath | None = None
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()

    def __init__(self, path: str, **fields: Any) -> None:
        super().__init__(**{"path": path, **fields})

    @field_validator("vars", mode="before")
    @classmethod
    def _plain(cls, value: object) -> dict[str, JsonValue]:
        return data(value)

    def title(self) -> str:
        """The playbook, and its tags if it has some."""
        tags = f" (tags {', '.join(self.tags)})" if self.tags else ""
        return f"run the playbook {self.path}{tags}"

    @property
    def undoable(self) -> bool:
        """Only what its author wrote for that takes it back; else the backup restores."""
        return self.rollback is not None

    def artefacts(self, project: Path) -> tuple[Path, ...]:
        """All files that may be executed, copied or read by it."""
        return trees.files(project, self.path, *([self.rollback] if self.rollback else []))

    def _job(self, context: Context) -> Job:
        return Job(
            artefacts=context.artefacts,
            workspace=context.workspace,
            resolver=context.secrets,
            timeout=context.timeout,
            playbook=self.path,
            variables=self.vars,
            references=self.secrets,
            peers=context.peers,
            tags=self.tags,
            skip_tags=self.skip_tags,
        )

    def undo(self, context: Context) -> Result:
        """The batch of one."""
        return self.undo_many([context])[context.target.name]

    def undo_many(self, contexts: Sequence[Context]) -> Mapping[str, Result]:
        """Run the author's rollback; without one, the backup restores."""
        rollback = self.rollback
        if rollback is None:
            return {c.target.name: super(AnsibleStep, self).undo(c) for c in contexts}
        # Tags choose among the playbook's own tasks.
        return self._act(
            contexts, lambda c: replace(self._job(c), playbook=rollback, tags=(), skip_tags=()), "undo"
        )
