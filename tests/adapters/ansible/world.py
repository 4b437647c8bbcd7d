"""A project, contexts and clients for steps, over real Ansible."""

from __future__ import annotations

import math
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from remediate.adapters.ansible.step import AnsibleStep
from remediate.model.step import Context, Token
from remediate.model.target import Target

T = TypeVar("T")

PROJECT = Path(__file__).parents[3]
CANARY = "canary-5ecret-9f2d"


class OneClients:
    """Clients kept for one test."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, ...], tuple[Any, Callable[[], None]]] = {}

    def get(self, key: tuple[str, ...], open_: Callable[[], T], close: Callable[[T], None]) -> T:
        if key not in self._open:
            client = open_()
            self._open[key] = (client, lambda: close(client))
        found: T = self._open[key][0]
        return found

    def drop(self, key: tuple[str, ...]) -> None:
        if key in self._open:
            self._open.pop(key)[1]()

    def fence(self) -> float:
        return math.inf

    def close(self) -> None:
        for key in list(self._open):
            self.drop(key)


class Canary:
    """Every reference has the same value, easy to look for."""

    def resolve(self, reference: str) -> str:
        return CANARY


@dataclass
class World:
    """Everything that contexts are made of. ``write`` puts a playbook where a run finds it."""

    folder: Path
    targets: tuple[Target, ...]
    clients: OneClients = field(default_factory=OneClients)
    peers: Mapping[str, Target] = field(default_factory=dict)
    run: str = field(default_factory=lambda: f"t{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.artefacts.mkdir(parents=True, exist_ok=True)
        self.workspace.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(PROJECT / "ansible.cfg", self.artefacts)

    @property
    def artefacts(self) -> Path:
        return self.folder / "artefacts"

    @property
    def workspace(self) -> Path:
        return self.folder / "work"

    def write(self, text: str, path: str = "playbooks/p.yml") -> str:
        file = self.artefacts / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return path

    def contexts(self, *names: str, **fields: Any) -> list[Context]:
        """One context for each target, or for each of these."""
        base: dict[str, Any] = {
            "token": Token(self.run, "s1", 1),
            "clients": self.clients,
            "secrets": Canary(),
            "artefacts": self.artefacts,
            "workspace": self.workspace,
            "timeout": 60.0,
            "peers": {**{t.name: t for t in self.targets}, **self.peers},
        }
        chosen = [t for t in self.targets if not names or t.name in names]
        return [Context(target=t, **{**base, **fields}) for t in chosen]

    def outcomes(self, step: AnsibleStep, *names: str) -> dict[str, tuple[str, bool]]:
        """Status and changed by target name."""
        found = step.apply_many(self.contexts(*names))
        return {n: (r.status.value, r.changed) for n, r in found.items()}


def local(names: Iterable[str], **more: Any) -> tuple[Target, ...]:
    """Targets that are this machine, without any SSH."""
    variables = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3", **more}
    return tuple(Target(name=n, address="127.0.0.1", groups=("web",), vars=variables) for n in names)
