"""One Ansible module as a step: any of thousands, on the same path as a playbook."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import JsonValue, StringConstraints, field_validator

from remediate.adapters.ansible import trees
from remediate.adapters.ansible.job import Job, OneTask
from remediate.adapters.ansible.step import AnsibleStep, data
from remediate.model.clip import clip
from remediate.model.step import Context

ModuleName = Annotated[
    str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*){2,}$", max_length=200)
]


class Module(AnsibleStep):
    """Run one module on all targets of the wave in one call.

    Args:
        name: the module's full name, such as ``ansible.builtin.lineinfile``.

    Attributes:
        args: its arguments: data, never templates. One that is named like a secret holds a reference.
    """

    kind: ClassVar[str] = "module"

    name: ModuleName
    args: dict[str, JsonValue] = {}

    def __init__(self, name: str, **fields: Any) -> None:
        super().__init__(**{"name": name, **fields})

    @field_validator("args", mode="before")
    @classmethod
    def _plain(cls, value: object) -> dict[str, JsonValue]:
        return data(value)

    def title(self) -> str:
        """The module and its arguments, as in an ad-hoc command."""
        shown = " ".join(f"{k}={v}" for k, v in self.args.items())
        return clip(f"{self.name} {shown}", 200).strip()

    def artefacts(self, project: Path) -> tuple[Path, ...]:
        """Ansible's settings; the module itself comes with the tool."""
        return trees.settings(project)

    def _job(self, context: Context) -> Job:
        return Job(
            artefacts=context.artefacts,
            workspace=context.workspace,
            resolver=context.secrets,
            timeout=context.timeout,
            task=OneTask(self.name, self.args),
            peers=context.peers,
        )
