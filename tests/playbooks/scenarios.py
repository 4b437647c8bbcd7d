"""Which playbooks and roles of a project are there, and which of them a scenario of Molecule runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_ROLE_TASKS = ("import_role", "include_role")


def shipped(root: Path) -> set[str]:
    """Playbooks and roles, by their paths in the project."""
    roles = {path.parents[1] for path in root.glob("**/roles/*/*/*.y*ml")}
    found = {path for path in root.glob("playbooks/**/*.y*ml") if "roles" not in path.parts and _plays(path)}
    return {path.relative_to(root).as_posix() for path in found | roles}


def covered(root: Path) -> set[str]:
    """What the scenarios converge on."""
    found: set[str] = set()
    for scenario in scenarios(root):
        converge = scenario / "converge.yml"
        found |= {_inside(root, converge.parent / name) for name in _imported(converge)}
        found |= {
            name for role in _roles(converge) for name in shipped(root) if name.endswith(f"roles/{role}")
        }
    return found


def scenarios(root: Path) -> list[Path]:
    """The folders of all scenarios."""
    return sorted(path.parent for path in root.glob("molecule/*/molecule.yml"))


def settings(scenario: Path) -> dict[str, Any]:
    """A scenario's molecule.yml."""
    loaded: dict[str, Any] = yaml.safe_load((scenario / "molecule.yml").read_text())
    return loaded


def _inside(root: Path, path: Path) -> str:
    return path.resolve().relative_to(root.resolve()).as_posix()


def _plays(path: Path) -> list[dict[str, Any]]:
    """The plays and imports of a playbook; a file of variables or tasks has none."""
    loaded = yaml.safe_load(path.read_text())
    entries = loaded if isinstance(loaded, list) else []
    return [entry for entry in entries if {"hosts", "import_playbook"} & set(entry)]


def _imported(converge: Path) -> Iterator[str]:
    return (play["import_playbook"] for play in _plays(converge) if "import_playbook" in play)


def _roles(converge: Path) -> Iterator[str]:
    for play in _plays(converge):
        yield from (role if isinstance(role, str) else role["role"] for role in play.get("roles", []))
        for task in play.get("tasks", []):
            yield from (value["name"] for key, value in task.items() if key.rpartition(".")[2] in _ROLE_TASKS)
