"""Run Ansible's read-only commands: no shell, no prompt, no colour, and an end to every wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from remediate.errors import InputError
from remediate.model.clip import clip

#: A dynamic inventory that needs longer than this hangs.
TIMEOUT = 120.0

_QUIET = {
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_LOCALHOST_WARNING": "False",
    "ANSIBLE_DEPRECATION_WARNINGS": "False",
    "ANSIBLE_RETRY_FILES_ENABLED": "False",
    "LC_ALL": "C.UTF-8",
}
# Ansible goes on with what is left when a source can't be read or a name means nothing. A change to
# "what is left" is never what somebody approved.
_STRICT = {
    "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
    "ANSIBLE_HOST_PATTERN_MISMATCH": "error",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Its errors as one short text, without warnings that are not the cause."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        first = next((i for i, line in enumerate(lines) if line.startswith(("[ERROR]", "ERROR!"))), 0)
        return clip("\n".join(lines[first:])) or f"exit code {self.code}"


def program(name: str) -> str:
    """The path of one of Ansible's programs: the one installed beside this Python, never another on PATH."""
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise InputError(f"{name} is not installed beside {sys.executable}", "pip install ansible-core")
    return str(path)


def config_file(project: Path, fallback: Path) -> Path:
    """The project's ``ansible.cfg``, or an empty one made in the folder ``fallback``.

    A user's or machine's own file is never read, so that one project means one behaviour.
    """
    path = project / "ansible.cfg"
    if not path.is_file():
        path = fallback / "ansible.cfg"
        path.touch(mode=0o600)
    return path


def run(
    name: str,
    arguments: Sequence[str],
    project: Path,
    timeout: float = TIMEOUT,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    """Run one of Ansible's programs to its end.

    Raises:
        InputError: it did not end within ``timeout`` seconds; it and all its children were killed.
    """
    environment = {k: v for k, v in os.environ.items() if k != "ANSIBLE_FORCE_COLOR"}
    with tempfile.TemporaryDirectory(prefix="remediate-") as folder:
        environment |= _QUIET | _STRICT | {"ANSIBLE_CONFIG": str(config_file(project, Path(folder)))}
        environment |= settings
        return _run([program(name), *arguments], project, environment, timeout)


def _run(command: list[str], folder: Path, environment: dict[str, str], timeout: float) -> Answer:
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException as error:
            # An inventory script is a grandchild: only the whole group ends it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise InputError(
                    f"{Path(command[0]).name} gave no answer within {timeout:.0f} s and was stopped",
                    "run `ansible-inventory --list` by hand; an inventory script or plugin probably hangs",
                ) from None
            raise
    return Answer(process.returncode, out, err)
