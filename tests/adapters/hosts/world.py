"""Targets and contexts for tests: this machine by a local agent, and the lab's hosts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from remediate.adapters.clients import ClientPool
from remediate.adapters.hosts.client import HostClient, connect
from remediate.lab.layout import Layout
from remediate.model.base import State
from remediate.model.step import Context, Token
from remediate.model.target import Target

#: Names that break whatever puts them into a shell, a pattern, or a line.
HOSTILE = (
    "a b",
    "it's",
    'say "hi"',
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "new\nline",
    "-rf",
    "*",
    "{file}",
    "%s%n",
    "\\",
    "\x1b[31m",
    "\u202egnp.exe",
    "\udcff\udc80 not UTF-8",
)


class NoSecrets:
    """Host steps need none."""

    def resolve(self, reference: str) -> str:
        """Nothing is known."""
        raise AssertionError(reference)


def here(python: str = sys.executable, **variables: JsonValue) -> Target:
    """This machine, through an agent that is a child process."""
    own: dict[str, JsonValue] = {"ansible_connection": "local", "ansible_python_interpreter": python}
    return Target(name="here", address="127.0.0.1", vars={**own, **variables})


#: A lab of these tests' own, so that they may break what they like while others use the main one.
LAYOUT = Layout(Path("/var/lib/remediate-lab-hosts"), "rmhosts", "10.213.91")


def lab_host(name: str, number: int, layout: Layout = LAYOUT) -> Target:
    """One host of a lab, as its inventory would describe it."""
    return Target(
        name=name,
        address=f"{layout.network}.{number}",
        user="ops",
        vars={
            "ansible_become": True,
            "ansible_ssh_private_key_file": str(layout.ssh_key),
            "ansible_python_interpreter": "/usr/bin/python3",
            "remediate_known_hosts": str(layout.known_hosts),
            "lb_host": "lb1",
            "pool": "web",
        },
    )


LB1 = lab_host("lb1", 10)
WEB1 = lab_host("web1", 11)


@dataclass
class World:
    """One target, its connections, and a workspace."""

    target: Target
    pool: ClientPool
    folder: Path
    run: str = "test"
    peers: Mapping[str, Target] = field(default_factory=dict)
    tokens: set[Token] = field(default_factory=set)

    def context(
        self,
        step: str = "step",
        attempt: int = 1,
        before: State | None = None,
        data: Mapping[str, JsonValue] | None = None,
        timeout: float = 60.0,
        target: Target | None = None,
    ) -> Context:
        """The context of one attempt; its workspace is the same for all attempts of the step."""
        workspace = self.folder / "workspace" / step
        workspace.mkdir(parents=True, exist_ok=True, mode=0o700)
        token = Token(self.run, step, attempt)
        self.tokens.add(token)
        return Context(
            target=target or self.target,
            token=token,
            clients=self.pool,
            secrets=NoSecrets(),
            artefacts=self.folder / "project",
            workspace=workspace,
            timeout=timeout,
            before=before or {},
            data=data or {},
            peers=self.peers,
            attempts=attempt,
        )

    def forget(self) -> None:
        """No record of this test's jobs stays on the host."""
        client = self.client()
        for token in self.tokens:
            client.forget(str(token))
            client.forget(str(Token(token.run, f"{token.step}-undo", token.attempt)))

    def client(self, timeout: float = 60.0) -> HostClient:
        """The host."""
        return connect(self.context(timeout=timeout))
