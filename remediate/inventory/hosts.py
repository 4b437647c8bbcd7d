"""From the JSON of `ansible-inventory --list` to groups and targets."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from remediate.errors import InputError
from remediate.model.target import Target

Groups = Mapping[str, tuple[str, ...]]

# A name becomes a file name, a line of a limit file and a word on a screen, so it may be none of: an option,
# a path, a pattern, something invisible.
_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,252}$")
_NESTING = 100
_MARKERS = ("{{", "{%", "{#")
# What Ansible computes itself at run time; a stored copy would go stale.
_MAGIC = frozenset(
    """
    ansible_check_mode ansible_diff_mode ansible_facts ansible_forks ansible_inventory_sources ansible_limit
    ansible_local ansible_play_batch ansible_play_hosts ansible_play_hosts_all ansible_play_name
    ansible_playbook_python ansible_run_tags ansible_skip_tags ansible_verbosity ansible_version group_names
    groups hostvars inventory_dir inventory_file inventory_hostname inventory_hostname_short omit play_hosts
    playbook_dir vars
    """.split()
)


def read_groups(path: Path, raw: Mapping[str, Any]) -> Groups:
    """Host names by group, with the hosts of child groups; ``all`` first, in Ansible's order."""
    hosts: dict[str, tuple[str, ...]] = {}

    def collect(group: str, above: tuple[str, ...]) -> tuple[str, ...]:
        if group in above:
            raise InputError(f"{path}: group {group!r} is inside itself")
        if len(above) > _NESTING:
            raise InputError(f"{path}: groups are nested deeper than {_NESTING} levels")
        if group not in hosts:
            _check_name(path, "group", group)
            entry = raw.get(group, {})
            names = [n for child in entry.get("children", ()) for n in collect(child, (*above, group))]
            hosts[group] = tuple(dict.fromkeys([*entry.get("hosts", ()), *names]))
        return hosts[group]

    everything = collect("all", ())
    for group in raw:
        if group != "_meta":
            collect(group, ())
    return {"all": everything, **{k: v for k, v in hosts.items() if k != "all"}}


def memberships(groups: Groups) -> Mapping[str, tuple[str, ...]]:
    """Group names by host, without the two that hold every host or every other host."""
    found: dict[str, list[str]] = {}
    for group, members in groups.items():
        if group not in ("all", "ungrouped"):
            for name in members:
                found.setdefault(name, []).append(group)
    return {name: tuple(names) for name, names in found.items()}


def read_target(path: Path, name: str, variables: Mapping[str, Any], groups: tuple[str, ...]) -> Target:
    """One host, in these groups, as a target."""
    _check_name(path, "host", name)
    clean = {k: plain(v) for k, v in variables.items() if k not in _MAGIC}
    address = _text(path, name, clean, "ansible_host", "ansible_ssh_host") or name
    if not _is_address(address):
        raise InputError(
            f"{path}: host {name}: {address!r} is no address", "set ansible_host to a name or IP"
        )
    return Target(
        name=name,
        address=address,
        port=_port(path, name, clean),
        user=_text(path, name, clean, "ansible_user", "ansible_ssh_user"),
        groups=groups,
        vars=clean,
    )


def plain(value: JsonValue) -> JsonValue:
    """Drop Ansible's "never template this" mark where there is nothing to template.

    Ansible marks every text that a plugin got from elsewhere; the mark matters only where the text
    could be taken for a template, and there it stays.
    """
    if isinstance(value, dict):
        text = value.get("__ansible_unsafe")
        if len(value) == 1 and isinstance(text, str) and not any(m in text for m in _MARKERS):
            return text
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def _check_name(path: Path, what: str, name: str) -> None:
    if not _NAME.match(name) and not (what == "host" and _is_ip(name)):
        raise InputError(
            f"{path}: {name!r} can't be the name of a {what}",
            "use letters, digits, dots, dashes, underscores; put addresses into ansible_host",
        )


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    return _NAME.match(text) is not None or _is_ip(text)


def _text(path: Path, host: str, variables: Mapping[str, JsonValue], *names: str) -> str | None:
    for name in names:
        value = variables.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or any(m in value for m in _MARKERS):
            raise InputError(f"{path}: host {host}: {name} must be plain text, not {value!r}")
        return value
    return None


def _port(path: Path, host: str, variables: Mapping[str, JsonValue]) -> int:
    value = variables.get("ansible_port", variables.get("ansible_ssh_port", 22))
    try:
        port = int(value) if isinstance(value, int | str) else -1
    except ValueError:
        port = -1
    if not 0 < port < 65536:
        raise InputError(f"{path}: host {host}: {value!r} is no port number")
    return port
