"""Make sure that earlier attempts have ended, here and on the target, before anybody looks at the state."""

from __future__ import annotations

import time
from collections.abc import Sequence

from remediate.adapters.ansible import processes
from remediate.adapters.ansible.job import FOLDER
from remediate.adapters.ansible.private import discard
from remediate.adapters.hosts.client import connect
from remediate.model.step import Context, Token

#: Seconds that one call waits for a module on the target to come to its own end.
PATIENCE = 30.0
_POLL = 0.5

_SSH = ("ssh", "smart", "paramiko", "paramiko_ssh")
#: With these, modules run on this machine and only talk to the target.
_RUNS_HERE = ("local", "network_cli", "netconf", "httpapi", "grpc")


def tokens(context: Context) -> tuple[str, ...]:
    """The tokens of all attempts that may have left something running."""
    last = max(context.attempts, context.token.attempt)
    return tuple(str(Token(context.token.run, context.token.step, n)) for n in range(1, last + 1))


def quiesce(context: Context, patience: float = PATIENCE) -> bool:
    """Whether nothing of any attempt is at work any more.

    ``ansible-playbook`` on this machine is killed: it could begin another task at any moment. What it began
    on the target is left to end by itself, because a killed dpkg leaves a worse state than a slow one; the
    caller asks again if that takes longer than ``patience`` seconds.
    """
    names = tokens(context)
    if not processes.end([f"{processes.TOKEN}={name}" for name in names]):
        return False
    sweep(context, "apply", "undo")
    return _connection(context) in _RUNS_HERE or _remote(context, names, patience)


def sweep(context: Context, *verbs: str) -> None:
    """Delete the directories that killed processes left behind; nobody uses them any more."""
    for verb in verbs:
        for folder in context.workspace.glob(f"{FOLDER}{verb}-*"):
            discard(folder)


def _connection(context: Context) -> str:
    return str(context.target.vars.get("ansible_connection", "ssh")).rpartition(".")[2]


def _remote(context: Context, names: Sequence[str], patience: float) -> bool:
    if _connection(context) not in _SSH:
        # Nobody can look there (WinRM and the like), so nobody can say that it is over.
        return False
    until = time.monotonic() + patience
    client = connect(context)
    while any(client.alive(name) for name in names):
        if time.monotonic() > until:
            return False
        time.sleep(_POLL)
    return True
