"""Which files a playbook needs: all that will be executed is in the plan, by digest."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator
from pathlib import Path

from remediate.errors import InputError

_MOST = 5000
_SKIPPED = {"__pycache__", "node_modules"}
_LOOSE_KEYS = re.compile(
    r"StrictHostKeyChecking[ =\"']*(no|off|accept-new)\b|UserKnownHostsFile[ =\"']*/dev/null"
    r"|^\s*host_key_checking\s*[=:]\s*(false|no|off|0)\b",
    re.IGNORECASE | re.MULTILINE,
)


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
    found.update(settings(project))
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


def settings(project: Path) -> tuple[Path, ...]:
    """``ansible.cfg`` and all files in the folders of the project that it names (roles_path, library, …).

    Raises:
        InputError: it can't be read, trusts unknown hosts, or names a vault password in a way that means
            nothing once the file has been copied.
    """
    file = project / "ansible.cfg"
    if not file.is_file():
        return ()
    text = file.read_text(errors="replace")
    refuse_loose_keys(str(file), text)
    config = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        config.read_string(text, str(file))
    except configparser.Error as error:
        raise InputError(f"{file}: {error}") from None
    found = {Path("ansible.cfg")}
    for section in config.sections():
        for option, value in config[section].items():
            _refuse_relative_password(file, option, value or "")
            for folder in _folders(project.resolve(), value or ""):
                found.update(_tree(project, folder))
    return tuple(sorted(found))


def _refuse_relative_password(file: Path, option: str, value: str) -> None:
    if option not in ("vault_password_file", "vault_identity_list"):
        return
    for part in value.split(","):
        path = part.rpartition("@")[2].strip()
        if path and path != "prompt" and not path.startswith(("/", "~")):
            raise InputError(
                f"{file}: {option} names {path!r}, which is no place outside the project",
                "set remediate_vault_password: file:PATH in the inventory, or write an absolute path here",
            )


def _folders(project: Path, value: str) -> Iterator[Path]:
    for part in value.split(":"):
        path = (project / part.strip()).resolve()
        if part.strip() and path != project and path.is_relative_to(project) and path.is_dir():
            yield path.relative_to(project)


def refuse_loose_keys(where: str, text: str) -> None:
    """Refuse a setting that would trust a host whose key is not known.

    Raises:
        InputError: there is one.
    """
    if found := _LOOSE_KEYS.search(text):
        raise InputError(
            f"{where}: {found[0]!r} would hand this change to whoever answers",
            "add the host's key to its known_hosts file instead",
        )
