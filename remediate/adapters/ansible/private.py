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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from remediate.adapters.ansible.events import END
from remediate.adapters.ansible.job import Job
from remediate.errors import InputError
from remediate.inventory.secrets import is_reference, named_like_secret
from remediate.model.target import Target

#: The extra variable, a list, through which secrets reach Ansible.
SECRETS = "remediate_secrets"

_LOOSE_KEYS = re.compile(
    r"StrictHostKeyChecking[ =\"']*(no|off|accept-new)\b|UserKnownHostsFile[ =\"']*/dev/null", re.IGNORECASE
)
_UNSAFE = "__ansible_unsafe"
_LOCAL = {"local", "ansible.builtin.local"}


def prepare(job: Job) -> tuple[Path, list[str]]:
    """Write the directory anew; the secret values in the order in which the files speak of them.

    Raises:
        InputError: a setting would talk to unknown hosts, or a secret can't be had.
    """
    refuse_loose_keys(job)
    folder = job.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    references: list[str] = []
    _write(folder / "hosts.json", inventory(job.targets, job.peers, references))
    _write(folder / "vars.json", _extra(job, references))
    _write(folder / "play.json", _plays(job, references))
    # A file, because a thousand names don't fit on a command line.
    (folder / "limit").write_text("".join(f"{t.name}\n" for t in job.targets))
    return folder, [job.resolver.resolve(r) for r in references]


def discard(folder: Path) -> None:
    """Delete what a call wrote: what matters of it is in the journal."""
    shutil.rmtree(folder, ignore_errors=True)


def refuse_loose_keys(job: Job) -> None:
    """Refuse settings that would trust an unknown host key, wherever they stand."""
    config = job.artefacts / "ansible.cfg"
    texts = [("ansible.cfg", config.read_text(errors="replace") if config.is_file() else "")]
    for target in (*job.targets, *job.peers.values()):
        texts += [
            (f"variable {k} of {target.name}", v)
            for k, v in target.vars.items()
            if isinstance(v, str) and k.startswith("ansible_ssh_")
        ]
    for where, text in texts:
        if found := _LOOSE_KEYS.search(text):
            raise InputError(
                f"{where}: {found[0]!r} would hand this change to whoever answers",
                "add the host's key to its known_hosts file instead",
            )


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
    found = {k: _referred(v, references, secret=named_like_secret(k)) for k, v in target.vars.items()}
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
def secret_pipe(folder: Path, values: Sequence[str], timeout: float) -> Iterator[Path | None]:
    """A named pipe that gives these values to its one reader, as extra variables; None without values."""
    if not values:
        yield None
        return
    path = folder / "secrets"
    os.mkfifo(path, 0o600)
    data = json.dumps({SECRETS: [{_UNSAFE: v} for v in values]}).encode()
    stop = threading.Event()
    writer = threading.Thread(target=_feed, args=(path, data, stop, timeout), daemon=True)
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
