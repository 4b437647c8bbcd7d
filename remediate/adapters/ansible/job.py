"""One call of Ansible: which play, on whom, with what, and how long it may take."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from remediate.model.step import Secrets
from remediate.model.target import Target


@dataclass(frozen=True, slots=True)
class OneTask:
    """A play of a single task."""

    module: str
    arguments: dict[str, JsonValue]


#: How the private directories of all calls begin.
FOLDER = "ansible-"


@dataclass(frozen=True)
class Job:
    """What Ansible is to do. ``playbook`` (a path below ``artefacts``) or ``task``, not both."""

    artefacts: Path
    workspace: Path
    resolver: Secrets
    timeout: float
    verb: str = ""
    token: str = ""
    targets: Sequence[Target] = ()
    playbook: str | None = None
    task: OneTask | None = None
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    peers: Mapping[str, Target] = field(default_factory=dict)
    """Hosts of the inventory that are no targets, but that a task may be delegated to."""
    tags: Sequence[str] = ()
    skip_tags: Sequence[str] = ()
    check: bool = False
    diff: bool = False
    cut: int = 0
    """Ansible dies after so many changes; 0: it does not."""

    call: str = field(default_factory=lambda: secrets.token_hex(8))
    """Names this call: reads of one attempt may go on side by side."""

    @property
    def folder(self) -> Path:
        """The private directory of this call."""
        return self.workspace / f"{FOLDER}{self.verb}-{self.call}"
