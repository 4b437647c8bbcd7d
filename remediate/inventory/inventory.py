"""Typed targets from Ansible's inventory, with refusals where Ansible only warns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from remediate.errors import InputError, Refused
from remediate.inventory import addresses, commands, files
from remediate.inventory.hosts import Groups, memberships, read_groups, read_target
from remediate.inventory.secrets import plain_secrets
from remediate.model.base import canonical, sha256
from remediate.model.clip import clip
from remediate.model.target import Target
from remediate.model.wording import problems

_PARALLEL = 4
_MISMATCH = re.compile(r"Could not match supplied host pattern, ignoring: (.+)")
_NOTHING = re.compile(r"no hosts to target|No hosts matched|hosts \(0\)")
_TRIED = re.compile(r"^\[WARNING\]: Failed to parse inventory with '(\w+)' plugin: (.*)$", re.MULTILINE)
_NO_PLUGIN = "no root 'plugin' key"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_UNFIT_PATTERN = re.compile(r"^-|[\x00-\x1f\x7f]")


class _Group(BaseModel):
    hosts: list[str] = []
    children: list[str] = []


class _Meta(BaseModel):
    hostvars: dict[str, dict[str, JsonValue]] = {}


_GROUPS = TypeAdapter(dict[str, _Group])


@dataclass(frozen=True)
class Inventory:
    """All hosts and groups, as Ansible resolved them at one moment.

    Attributes:
        path: the inventory file, directory or script.
        project: the folder that holds ``ansible.cfg``.
        hosts: targets by name, in Ansible's order.
        groups: host names by group name, with the hosts of child groups.
    """

    path: Path
    project: Path
    hosts: Mapping[str, Target]
    groups: Groups
    _selected: dict[tuple[str, str | None], tuple[str, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def load(cls, path: Path, project: Path, timeout: float = commands.TIMEOUT) -> Inventory:
        """Read the whole inventory.

        Args:
            path: an inventory file, directory or executable script.
            project: the folder whose ``ansible.cfg`` applies.
            timeout: seconds that a dynamic source may take.

        Raises:
            InputError: it is missing, malformed, hangs, or holds something that a plan may not.
        """
        path, project = path.absolute(), project.absolute()
        if not path.exists():
            raise InputError(f"no inventory at {path}", "give a file or folder with --inventory")
        files.check(path)
        answer = commands.run("ansible-inventory", ["-i", str(path), "--list"], project, timeout)
        if answer.code:
            raise InputError(f"{path}: Ansible can't read this inventory:\n{_why(answer)}")
        raw = _document(path, answer.out)
        groups = read_groups(path, raw)
        member = memberships(groups)
        variables: dict[str, dict[str, Any]] = raw.get("_meta", {}).get("hostvars", {})
        if unclear := [name for name, own in variables.items() if addresses.templated(own)]:
            for name, values in addresses.resolve(path, project, unclear, timeout).items():
                variables[name] |= values
        hosts = {
            name: read_target(path, name, variables.get(name, {}), member.get(name, ()))
            for name in dict.fromkeys([*groups.get("all", ()), *variables])
        }
        if not hosts:
            raise InputError(f"{path}: the inventory has no hosts")
        _refuse_secrets(path, hosts)
        return cls(path, project, hosts, groups)

    def select(self, pattern: str, limit: str | None = None) -> tuple[str, ...]:
        """Host names that an Ansible pattern selects, in Ansible's order.

        Raises:
            InputError: a part of the pattern or limit names nothing in the inventory.
            Refused: nothing is left to act on.
        """
        key = (pattern, limit)
        if key not in self._selected:
            alone = self._alone(pattern) if limit is None else None
            self._selected[key] = (alone,) if alone else self._ask(pattern, limit)
        return self._selected[key]

    def select_many(self, patterns: Iterable[str], limit: str | None = None) -> Mapping[str, tuple[str, ...]]:
        """`select` for several patterns side by side: each costs one start of Ansible (about 0.6 s)."""
        wanted = list(dict.fromkeys(patterns))
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return dict(zip(wanted, pool.map(lambda p: self.select(p, limit), wanted), strict=True))

    def targets(self, names: Iterable[str]) -> tuple[Target, ...]:
        """The targets with these names, in the order given.

        Raises:
            InputError: the inventory has no such host.
        """
        wanted = list(names)
        for name in wanted:
            if name not in self.hosts:
                raise InputError(f"the inventory {self.path} has no host {name!r}")
        return tuple(self.hosts[name] for name in wanted)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every resolved host, variable and group."""
        hosts = {name: target.model_dump(mode="json") for name, target in self.hosts.items()}
        return sha256(canonical({"hosts": hosts, "groups": {k: list(v) for k, v in self.groups.items()}}))

    def _alone(self, pattern: str) -> str | None:
        """The one host that a plain name means; more than one has an order, which only Ansible knows."""
        hosts = [pattern] if pattern in self.hosts else []
        if not _PLAIN_NAME.fullmatch(pattern) or (hosts and pattern in self.groups):
            return None
        hosts = hosts or list(self.groups.get(pattern, ()))
        return hosts[0] if len(hosts) == 1 else None

    def _ask(self, pattern: str, limit: str | None) -> tuple[str, ...]:
        for text in (pattern, limit or ""):
            if _UNFIT_PATTERN.search(text):
                raise InputError(f"not a host pattern: {text!r}")
        if not pattern.strip() or (limit is not None and not limit.strip()):
            raise InputError("the host pattern or limit is empty", 'write "all" to mean every host')
        # Without any --limit, `ansible` takes an unknown name for an empty selection.
        restrict = ["--limit", "all" if limit is None else limit]
        arguments = ["-i", str(self.path), "--list-hosts", *restrict, "--", pattern]
        answer = commands.run("ansible", arguments, self.project)
        names = _listed(answer.out) if answer.code == 0 else ()
        if not names:
            self._refuse(pattern, limit, answer)
        for name in names:
            if name not in self.hosts:
                raise InputError(f"{self.path}: host {name!r} was not there a moment ago", "try again")
        return names

    def _refuse(self, pattern: str, limit: str | None, answer: commands.Answer) -> None:
        said = answer.out + answer.err
        # An excluded or intersected part that names nothing must not widen or empty the selection unseen.
        if unknown := _MISMATCH.search(said):
            where = f"{pattern!r}" + (f" limited to {limit!r}" if limit is not None else "")
            raise InputError(
                f"{unknown[1].strip()!r} in the host pattern {where} names no host or group of {self.path}",
                "check the spelling with `ansible-inventory --graph`",
            )
        if answer.code == 0 or _NOTHING.search(said):
            raise Refused(
                f"the pattern {pattern!r}"
                + (f" limited to {limit!r}" if limit is not None else "")
                + " selects no host, and a change of nothing is no success"
            )
        raise InputError(f"{self.path}: Ansible can't select {pattern!r}:\n{answer.said}")


def _why(answer: commands.Answer) -> str:
    """Ansible's last word, and what each plugin that tried the source had against it."""
    tried = [(m[1], m[2].strip()) for m in _TRIED.finditer(answer.err) if _NO_PLUGIN not in m[2]]
    return "\n".join([answer.said, *(clip(f"  as {plugin}: {cause}", 500) for plugin, cause in tried)])


def _document(path: Path, text: str) -> dict[str, Any]:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: ansible-inventory gave no JSON: {error}") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path}: ansible-inventory gave no JSON object")
    try:
        _Meta.model_validate(raw.get("_meta", {}))
        _GROUPS.validate_python({name: group for name, group in raw.items() if name != "_meta"})
    except ValidationError as error:
        raise InputError(f"{path}: ansible-inventory gave no groups of hosts: {problems(error)[0]}") from None
    return raw


def _listed(text: str) -> tuple[str, ...]:
    lines: Sequence[str] = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip().startswith("hosts (")), len(lines))
    return tuple(line.strip() for line in lines[start + 1 :] if line.strip())


def _refuse_secrets(path: Path, hosts: Mapping[str, Target]) -> None:
    for target in hosts.values():
        for name in plain_secrets(target.vars):
            raise InputError(
                f"{path}: variable {name!r} of host {target.name} holds a secret in the clear",
                "encrypt it (ansible-vault encrypt_string) or write a reference (env:NAME, file:PATH)",
            )
