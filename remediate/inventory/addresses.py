"""Addresses that the inventory writes as templates, filled in by Ansible itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from remediate.errors import InputError
from remediate.inventory import commands

#: Variables that say how a host is reached. A plan holds their values, not a rule that gives them.
NAMES = (
    "ansible_host",
    "ansible_ssh_host",
    "ansible_port",
    "ansible_ssh_port",
    "ansible_user",
    "ansible_ssh_user",
)

_ANSWER = re.compile(r"^(?P<host>\S+) \| SUCCESS => (?P<json>\{.*?^\})", re.MULTILINE | re.DOTALL)
_MARKERS = ("{{", "{%")


def templated(variables: Mapping[str, Any]) -> bool:
    """Whether any of these variables is a template. A text that Ansible does not trust never is one."""
    values = (variables.get(name) for name in NAMES)
    return any(isinstance(v, str) and any(m in v for m in _MARKERS) for v in values)


def resolve(path: Path, project: Path, hosts: Iterable[str], timeout: float) -> Mapping[str, dict[str, Any]]:
    """The values by host, as Ansible would use them; hosts are not contacted.

    Raises:
        InputError: a template can't be filled in.
    """
    wanted = sorted(hosts)
    # No host's own variables may hide a name here, so the template asks for each of them by that name.
    asked = ", ".join(f"'{name}': {name} | default(none)" for name in NAMES)
    arguments = ["-i", str(path), "-m", "ansible.builtin.debug", "-a", f"msg={{{{ {{{asked}}} }}}}"]
    answer = commands.run(
        "ansible", [*arguments, ":".join(wanted)], project, timeout, {"ANSIBLE_STDOUT_CALLBACK": "minimal"}
    )
    found = {m["host"]: json.loads(m["json"])["msg"] for m in _ANSWER.finditer(answer.out)}
    for host in wanted:
        if host not in found:
            raise InputError(f"{path}: the address of {host} can't be worked out:\n{answer.said}")
    return {host: {k: v for k, v in found[host].items() if v is not None} for host in wanted}
