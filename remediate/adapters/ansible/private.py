"""The private directory of one call: inventory, variables and the play that holds it all together.

Everything is written as JSON in Ansible's own dialect: ``{"__ansible_vault": …}`` stays encrypted and
``{"__ansible_unsafe": …}`` is never taken for a template. A secret is in none of these files; secrets go
through a pipe that holds nothing once it was read.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from remediate.adapters.ansible.events import END
from remediate.adapters.ansible.job import Job
from remediate.adapters.ansible.trees import refuse_loose_keys
from remediate.errors import InputError
from remediate.inventory.secrets import is_reference, named_like_secret
from remediate.model.target import Target

#: The extra variable, a list, through which secrets reach Ansible.
SECRETS = "remediate_secrets"

_UNSAFE = "__ansible_unsafe"
_LOCAL = {"local", "ansible.builtin.local"}
#: The inventory variable that says where the vault's password is.
VAULT = "remediate_vault_password"
# Credentials that steps of their own use. A playbook that needs one names it under its `secrets`.
_NOT_FOR_PLAYBOOKS = {
    VAULT,
    "vcenter_password",
    "network_password",
    "network_enable",
    "mariadb_password",
    "postgres_password",
    "mongodb_password",
}


@dataclass(frozen=True, slots=True)
class Private:
    """The directory, and the secrets that go through pipes: values, and the vault's password if any."""

    folder: Path
    values: list[str]
    vault: str | None


def prepare(job: Job) -> Private:
    """Write the directory anew.

    Raises:
        InputError: a setting would talk to unknown hosts, or a secret can't be had.
    """
    _refuse_loose_keys(job)
    vault = _vault(job)
    references: list[str] = []
    files = {
        "hosts.json": inventory(job.targets, job.peers, references),
        "vars.json": _extra(job, references),
        "play.json": _plays(job, references),
    }
    values = [job.resolver.resolve(r) for r in references]
    job.folder.mkdir(mode=0o700, parents=True)
    for name, content in files.items():
        _write(job.folder / name, content)
    # A file, because a thousand names don't fit on a command line.
    (job.folder / "limit").write_text("".join(f"{t.name}\n" for t in job.targets))
    return Private(job.folder, values, vault)


def _vault(job: Job) -> str | None:
    every = (*job.targets, *job.peers.values())
    references = {str(t.vars[VAULT]) for t in every if VAULT in t.vars}
    if len(references) > 1:
        raise InputError(
            f"the hosts of one step name {len(references)} different vault passwords in {VAULT}",
            "give them one, or name several with vault_identity_list in ansible.cfg",
        )
    return job.resolver.resolve(references.pop()) if references else None


def discard(folder: Path) -> None:
    """Delete what a call wrote: what matters of it is in the journal."""
    shutil.rmtree(folder, ignore_errors=True)


def _refuse_loose_keys(job: Job) -> None:
    config = job.artefacts / "ansible.cfg"
    if config.is_file():
        refuse_loose_keys("ansible.cfg", config.read_text(errors="replace"))
    for target in (*job.targets, *job.peers.values()):
        for name, value in target.vars.items():
            if isinstance(value, str) and name.startswith("ansible_ssh_"):
                refuse_loose_keys(f"variable {name} of {target.name}", value)


def inventory(
    targets: Sequence[Target], peers: Mapping[str, Target], references: list[str]
) -> dict[str, Any]:
    """A static inventory of these hosts, with all their variables and groups."""
    every = {**peers, **{t.name: t for t in targets}}
    groups: dict[str, Any] = {}
    for target in every.values():
        for group in target.groups:
            groups.setdefault(group, {"hosts": {}})["hosts"][target.name] = {}
    hosts = {name: _host(target, references) for name, target in every.items()}
    return {"all": {"hosts": hosts, "children": groups}}


def _host(target: Target, references: list[str]) -> dict[str, Any]:
    found = {
        k: _referred(v, references, secret=named_like_secret(k))
        for k, v in target.vars.items()
        if k not in _NOT_FOR_PLAYBOOKS
    }
    found["ansible_host"] = target.address
    if target.vars.get("ansible_connection") in _LOCAL:
        return found
    found["ansible_port"] = target.port
    if target.user is not None:
        found["ansible_user"] = target.user
    options = ["-o StrictHostKeyChecking=yes"]
    if known := target.vars.get("remediate_known_hosts"):
        # Another file could vouch for a host that this inventory does not know.
        options += [f"-o 'UserKnownHostsFile={_paths(known)}'", "-o GlobalKnownHostsFile=/dev/null"]
    options.append(str(found.get("ansible_ssh_common_args", "")))
    found["ansible_ssh_common_args"] = " ".join(options).strip()
    return found


def _paths(value: JsonValue) -> str:
    """Files in ssh's own notation, from paths with colons between them."""
    if not isinstance(value, str) or re.search(r"[\"'\\\s{}%\x00-\x1f]", value):
        raise InputError(f"remediate_known_hosts: not a plain path: {value!r}")
    return " ".join(str(Path(part).expanduser()) for part in value.split(":") if part)


def _referred(value: JsonValue, references: list[str], *, secret: bool) -> JsonValue:
    """The value with every secret reference replaced by its place in the list of secrets."""
    if isinstance(value, dict):
        return {k: _referred(v, references, secret=secret or named_like_secret(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_referred(v, references, secret=secret) for v in value]
    return _place(value, references) if secret and is_reference(value) else value


def _place(reference: JsonValue, references: list[str]) -> str:
    text = str(reference)
    if text not in references:
        references.append(text)
    return f"{{{{ {SECRETS}[{references.index(text)}] }}}}"


def data(value: JsonValue, references: list[str], *, secret: bool = False) -> JsonValue:
    """Data from a runbook: never a template, but with its secret references in their place.

    Raises:
        InputError: it imitates one of Ansible's own marks.
    """
    if isinstance(value, str):
        return _place(value, references) if secret and is_reference(value) else {_UNSAFE: value}
    if isinstance(value, list):
        return [data(v, references, secret=secret) for v in value]
    if isinstance(value, dict):
        for key in value:
            if key.startswith("__ansible_"):
                raise InputError(f"a variable may not hold the key {key!r}: it means something to Ansible")
        return {k: data(v, references, secret=secret or named_like_secret(k)) for k, v in value.items()}
    return value


def _extra(job: Job, references: list[str]) -> JsonValue:
    found = data(dict(job.variables), references)
    named = {name: _place(reference, references) for name, reference in job.references.items()}
    return {**found, **named} if isinstance(found, dict) else dict(named)


def _plays(job: Job, references: list[str]) -> list[dict[str, Any]]:
    # A host that another host's failure stopped (any_errors_fatal, serial, run_once) has no failure in
    # Ansible's count. Only who gets as far as this last play has done the whole playbook.
    last = {
        "name": END,
        "hosts": "all",
        "gather_facts": False,
        "strategy": "ansible.builtin.linear",
        "tags": ["always"],
        # Skipped for every host in Ansible's own process: an event each, and no fork.
        "tasks": [{"name": END, "ansible.builtin.meta": "end_host", "when": False}],
    }
    if job.task is not None:
        task = {"name": job.task.module, job.task.module: data(job.task.arguments, references)}
        # Ansible shows the arguments of a task; what came by reference stays out of sight.
        task["no_log"] = bool(references)
        return [{"name": job.task.module, "hosts": "all", "gather_facts": False, "tasks": [task]}, last]
    return [{"import_playbook": {_UNSAFE: str(job.artefacts / (job.playbook or ""))}}, last]


def _write(path: Path, data: Any) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(data, stream)


@contextmanager
def pipes(private: Private, timeout: float) -> Iterator[list[str]]:
    """Arguments for Ansible that name pipes; each gives its secret to one reader and then holds nothing."""
    secrets = json.dumps({SECRETS: [{_UNSAFE: v} for v in private.values]})
    with ExitStack() as stack:
        arguments: list[str] = []
        if private.values:
            path = stack.enter_context(_pipe(private.folder / "secrets", secrets, timeout))
            arguments += ["-e", f"@{path}"]
        if private.vault is not None:
            path = stack.enter_context(_pipe(private.folder / "vault", private.vault + "\n", timeout))
            arguments += ["--vault-password-file", str(path)]
        yield arguments


@contextmanager
def _pipe(path: Path, text: str, timeout: float) -> Iterator[Path]:
    os.mkfifo(path, 0o600)
    stop = threading.Event()
    writer = threading.Thread(target=_feed, args=(path, text.encode(), stop, timeout), daemon=True)
    writer.start()
    try:
        yield path
    finally:
        stop.set()
        writer.join()
        path.unlink(missing_ok=True)


def _feed(path: Path, data: bytes, stop: threading.Event, timeout: float) -> None:
    until = time.monotonic() + timeout
    while not stop.is_set() and time.monotonic() < until:
        try:
            pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            # Nobody reads yet.
            if error.errno != errno.ENXIO:
                return
            stop.wait(0.02)
            continue
        os.set_blocking(pipe, True)
        with suppress(BrokenPipeError), os.fdopen(pipe, "wb") as stream:
            stream.write(data)
        return
