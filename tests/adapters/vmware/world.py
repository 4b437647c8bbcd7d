"""A lab of these tests' own: hosts that are virtual machines of a vCenter, and looks past the product."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import JsonValue
from pyVmomi import vim

from remediate.adapters.clients import ClientPool
from remediate.adapters.hosts.client import HostClient
from remediate.adapters.hosts.client import connect as host
from remediate.adapters.hosts.errors import Unreachable
from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
from remediate.lab.network import address
from remediate.lab.roster import by_name
from remediate.lab.vcenter import AUDITOR, VCenter, instance_uuid
from remediate.lab.vcenter_faults import Faults
from remediate.model.base import State
from remediate.model.step import Context, Token
from remediate.model.target import Target

T = TypeVar("T")

#: Fixed, so that the next session finds and removes what a killed one has left.
LAYOUT = Layout(Path("/var/lib/remediate-lab-vmware"), "rmvm", "10.213.93")
#: lb1 and two that are worked on.
TOTAL = 3
RUN = "r-0a1b2c3d"


class Files:
    """Secrets behind ``file:`` references."""

    def resolve(self, reference: str) -> str:
        """Its first line."""
        return Path(reference.removeprefix("file:")).read_text().strip()


def target(name: str, **variables: JsonValue) -> Target:
    """One host as its inventory describes it."""
    own: dict[str, JsonValue] = {
        **VCenter(LAYOUT).variables(),
        "vm_instance_uuid": instance_uuid(LAYOUT, name),
        "ansible_become": True,
        "ansible_ssh_private_key_file": str(LAYOUT.ssh_key),
        "ansible_python_interpreter": "/usr/bin/python3",
        "remediate_known_hosts": str(LAYOUT.known_hosts),
    }
    return Target(name=name, address=address(LAYOUT, by_name(name)), user="ops", vars={**own, **variables})


AUDITOR_VARS: dict[str, JsonValue] = {
    "vcenter_username": AUDITOR,
    "vcenter_password": f"file:{LAYOUT.home}/vcenter/auditor.password",
}


def until(ask: Callable[[], T], seconds: float = 20.0) -> T:
    """The first answer that is true."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.02)
    return answer


@dataclass
class World:
    """The lab, this test's connections, and its workspace."""

    hosts: Hosts
    faults: Faults
    pool: ClientPool
    folder: Path
    api: Any = None
    """pyvmomi's own view of the vCenter, logged in apart from the product."""
    tokens: set[Token] = field(default_factory=set)

    def context(
        self,
        name: str = "web1",
        step: str = "b01-vm-snapshot",
        attempt: int = 1,
        *,
        run: str = RUN,
        before: State | None = None,
        data: Mapping[str, JsonValue] | None = None,
        timeout: float = 30.0,
        variables: Mapping[str, JsonValue] | None = None,
    ) -> Context:
        """The context of one attempt on one host."""
        return Context(
            target=target(name, **(variables or {})),
            token=Token(run, step, attempt),
            clients=self.pool,
            secrets=Files(),
            artefacts=self.folder,
            workspace=self.folder,
            timeout=timeout,
            before=before or {},
            data=data or {},
            attempts=attempt,
        )

    def planning(self, variables: Mapping[str, JsonValue] | None = None) -> Context:
        """The context of an observation while a plan is being made."""
        return self.context(run="plan-1", attempt=0, variables=variables)

    def undoing(self, context: Context) -> Context:
        """What the engine makes of the context of an apply for its undo."""
        token = replace(context.token, step=f"{context.token.step}-undo", attempt=1)
        return replace(context, token=token)

    # -- past the product --

    def reconnect(self) -> None:
        """A new session of the test's own."""
        self.disconnect()
        self.api = connect()

    def disconnect(self) -> None:
        """End it; one that has ended is fine, and so is a vCenter that has."""
        if self.api is not None:
            with suppress(vim.fault.NotAuthenticated, OSError):
                self.api.content.sessionManager.Logout()
            self.api._stub.DropConnections()
            self.api = None

    def machine(self, name: str = "web1") -> Any:
        """The virtual machine."""
        return self.api.content.searchIndex.FindByUuid(
            datacenter=None, uuid=instance_uuid(LAYOUT, name), vmSearch=True, instanceUuid=True
        )

    def snapshots(self, name: str = "web1") -> list[str]:
        """Names of all its snapshots."""

        def walk(nodes: Any) -> list[str]:
            return [n for node in nodes or () for n in (node.name, *walk(node.childSnapshotList))]

        info = self.machine(name).snapshot
        return walk(info.rootSnapshotList) if info else []

    def do(self, task: Any) -> None:
        """Wait for a task's success."""
        until(lambda: task.info.state in ("success", "error"))
        assert task.info.state == "success", task.info.error

    def power(self, name: str = "web1") -> str:
        """As vCenter says."""
        return str(self.machine(name).runtime.powerState)

    def file(self, name: str, path: str) -> Path:
        """A file of a host's disk, as this machine sees it."""
        return LAYOUT.hosts / name / "root" / path.lstrip("/")

    def clean(self) -> None:
        """No faults, no snapshots, every host on."""
        self.faults.clear()
        for name in ("web1", "web2"):
            machine = self.machine(name)
            if machine.snapshot:
                self.do(machine.RemoveAllSnapshots_Task())
            if machine.runtime.powerState != "poweredOn":
                self.do(machine.PowerOnVM_Task())
            until(partial(_tools_run, machine))


def _tools_run(machine: Any) -> bool:
    return bool(machine.guest.toolsRunningStatus == "guestToolsRunning")


def reach(context: Context) -> HostClient:
    """The host over SSH, as soon as it answers."""

    def attempt() -> HostClient | None:
        with suppress(Unreachable):
            return host(context)
        return None

    found = until(attempt)
    assert found is not None
    return found


def connect() -> Any:
    """A session of pyvmomi's own making."""
    from pyVim.connect import SmartConnect

    way = VCenter(LAYOUT).variables()
    return SmartConnect(  # type: ignore[no-untyped-call]
        host=way["vcenter_hostname"],
        port=way["vcenter_port"],
        user=way["vcenter_username"],
        pwd=Files().resolve(str(way["vcenter_password"])),
        sslContext=ssl.create_default_context(cafile=str(way["vcenter_ca_file"])),
    )
