"""How a target is reached, read from its inventory variables and nothing else."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from remediate.errors import InputError
from remediate.model.target import Target

_PASSWORDS = (
    "ansible_password ansible_ssh_pass ansible_ssh_password ansible_become_password ansible_become_pass "
    "ansible_sudo_pass ansible_ssh_private_key_passphrase"
).split()
_USER = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*\$?$")
_JUMP = re.compile(r"^(?:(?P<user>[^@\s]+)@)?(?P<host>\[[0-9A-Fa-f:]+\]|[^\s:@,\[\]]+)(?::(?P<port>\d+))?$")
_TRUE = ("true", "yes", "on", "1", "y", "t")


@dataclass(frozen=True, slots=True)
class Jump:
    """A host in between."""

    address: str
    port: int = 22
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that opening a connection needs.

    ``become`` is the user whom sudo makes us, None without sudo. ``key_file`` None means that the user's own
    agent and keys are tried. ``known_hosts`` are the only files whose keys are believed.
    """

    name: str
    address: str
    port: int
    user: str | None
    key_file: Path | None
    known_hosts: tuple[Path, ...]
    become: str | None
    python: str
    connection: Literal["ssh", "local"] = "ssh"
    jump: Jump | None = None
    connect_seconds: float = 10.0
    mark: str = "remediate-agent"
    """The last word of the agent's command line: of which run and process it is."""

    @property
    def command(self) -> tuple[str, ...]:
        """The words before the agent's program."""
        sudo = ("sudo", "-n", "-u", self.become, "--") if self.become else ()
        return (*sudo, self.python)


def access(target: Target) -> Access:
    """How to reach this target.

    Raises:
        InputError: a variable asks for what is not supported, or is malformed.
    """
    _refuse_passwords(target)
    connection = _text(target, "ansible_connection", "ssh")
    if connection not in ("ssh", "smart", "paramiko", "paramiko_ssh", "local"):
        raise InputError(
            f"{target.name}: ansible_connection is {connection!r}; host steps speak SSH",
            "use the step types of that technology, or a playbook",
        )
    python = _text(target, "ansible_python_interpreter", "python3")
    key = _text(target, "ansible_ssh_private_key_file") or _text(target, "ansible_private_key_file")
    known = _text(target, "remediate_known_hosts", "~/.ssh/known_hosts")
    return Access(
        name=target.name,
        address=target.address,
        port=target.port,
        user=target.user or _text(target, "ansible_user") or None,
        key_file=Path(key).expanduser() if key else None,
        known_hosts=tuple(Path(part).expanduser() for part in known.split(":") if part),
        become=_become(target),
        python="python3" if python.startswith("auto") else python,
        connection="local" if connection == "local" else "ssh",
        jump=_jump(target),
        connect_seconds=_seconds(target),
    )


def _text(target: Target, name: str, default: str = "") -> str:
    value = target.vars.get(name, default)
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise InputError(f"{target.name}: {name} must be plain text, not {type(value).__name__}")
    return target.render(str(value))


def _refuse_passwords(target: Target) -> None:
    for name in _PASSWORDS:
        if target.vars.get(name):
            raise InputError(
                f"{target.name}: {name} is set; passwords are not used to reach hosts",
                "use an SSH key (ansible_ssh_private_key_file, or your agent) and sudo rights without a "
                "password for this user, then remove the variable",
            )


def _become(target: Target) -> str | None:
    value = target.vars.get("ansible_become", False)
    if not (value is True or str(value).lower() in _TRUE):
        return None
    method = _text(target, "ansible_become_method", "sudo")
    if method.removeprefix("ansible.builtin.") != "sudo":
        raise InputError(f"{target.name}: ansible_become_method is {method!r}; only sudo is supported")
    user = _text(target, "ansible_become_user", "root")
    if not _USER.match(user):
        raise InputError(f"{target.name}: ansible_become_user is not a user name: {user!r}")
    return user


def _seconds(target: Target) -> float:
    try:
        return max(1.0, float(_text(target, "ansible_ssh_timeout", "10")))
    except ValueError:
        raise InputError(f"{target.name}: ansible_ssh_timeout is not a number of seconds") from None


def _jump(target: Target) -> Jump | None:
    """``-J host`` or ``-o ProxyJump=host`` in Ansible's SSH arguments; others are refused, not ignored."""
    words = shlex.split(
        _text(target, "ansible_ssh_common_args") + " " + _text(target, "ansible_ssh_extra_args")
    )
    found = None
    while words:
        word = words.pop(0)
        if word in ("-J", "-o") and words:
            word = words.pop(0) if word == "-o" else f"ProxyJump={words.pop(0)}"
        name, _, value = word.removeprefix("-o").partition("=")
        if name.lower() == "proxyjump":
            found = _parse_jump(target, value)
        elif (name.lower(), value.lower()) not in (("stricthostkeychecking", "yes"), ("batchmode", "yes")):
            raise InputError(
                f"{target.name}: the SSH option {word!r} in ansible_ssh_common_args is not supported",
                "only ProxyJump=[user@]host[:port] is; host keys are always checked",
            )
    return found


def _parse_jump(target: Target, text: str) -> Jump:
    match = _JUMP.match(text)
    if match is None:
        raise InputError(f"{target.name}: not a jump host: {text!r}", "write ProxyJump=[user@]host[:port]")
    return Jump(match["host"].strip("[]"), int(match["port"] or 22), match["user"])
