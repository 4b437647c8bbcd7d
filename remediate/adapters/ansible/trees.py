"""Which files a playbook needs: all that will be executed is in the plan, by digest."""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator
from pathlib import Path

from remediate.errors import InputError

_MOST = 5000
_SKIPPED = {"__pycache__", "node_modules"}


def files(project: Path, *playbooks: str) -> tuple[Path, ...]:
    """Project-relative paths: the folders that hold these playbooks, ``ansible.cfg``, and what it names.

    Raises:
        InputError: a playbook is missing, or its folder holds far more than playbooks.
    """
    found: set[Path] = set()
    for playbook in playbooks:
        if not (project / playbook).is_file():
            raise InputError(f"no playbook at {project / playbook}")
        folder = Path(playbook).parent
        if folder == Path():
            raise InputError(
                f"the playbook {playbook} lies at the top of the project",
                "move playbooks, roles and templates into a folder such as playbooks/",
            )
        found.update(_tree(project, folder))
    if (project / "ansible.cfg").is_file():
        found.add(Path("ansible.cfg"))
        for folder in _configured(project):
            found.update(_tree(project, folder))
    if len(found) > _MOST:
        raise InputError(
            f"{len(found)} files lie beside the playbook; a plan lists at most {_MOST}",
            "keep playbooks, roles and templates in a folder of their own",
        )
    return tuple(sorted(found))


def _tree(project: Path, folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(project / folder):
        folders[:] = [f for f in folders if f not in _SKIPPED and not f.startswith(".")]
        for name in names:
            path = Path(base, name)
            if name.endswith((".retry", ".pyc")):
                continue
            if not path.resolve().is_relative_to(project.resolve()):
                raise InputError(f"{path} is a link out of the project", "copy the file into the project")
            yield path.relative_to(project)


def _configured(project: Path) -> Iterator[Path]:
    """Folders inside the project that ``ansible.cfg`` names: roles_path, library, filter_plugins, …"""
    config = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        config.read(project / "ansible.cfg")
    except configparser.Error as error:
        raise InputError(f"{project / 'ansible.cfg'}: {error}") from None
    for section in config.sections():
        for value in config[section].values():
            for part in (value or "").split(":"):
                path = project / part.strip() if part.strip() else project
                inside = path.resolve().is_relative_to(project.resolve())
                if inside and path.is_dir() and path.resolve() != project.resolve():
                    yield path.resolve().relative_to(project.resolve())
