"""What the snapshot guard costs beside the bare calls: many machines whose snapshots take 200 ms each.

Four subjects, over the lab's vCenter without hosts behind it (success is told, nothing is copied):

* ``guard``: `VmSnapshot.apply_many` as a run calls it: all reasons against it (state, disks, datastores,
  privileges), reconciliation by name, the tasks, and the read-back of each snapshot.
* ``bare``: pyvmomi alone: all tasks are started, then all are asked for in one call, every 50 ms.
* ``serial``: pyvmomi alone: one after the other.
* ``default``: the guard with its default limits (32 at once, 8 on one datastore); for information.

Run: ``python -m bench.snapshots [machines] [rounds]``
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyVim.connect import SmartConnect
from pyVim.task import WaitForTask
from pyVmomi import vim, vmodl

from bench.measure import Verdicts, ended_in_order, interleaved, machine, medians
from remediate.adapters.clients import ClientPool
from remediate.adapters.vmware.snapshot import VmSnapshot
from remediate.lab import ca, vcenter_build
from remediate.lab.layout import MAIN, Layout
from remediate.lab.vcenter_faults import Faults
from remediate.model.step import Context, Status, Token
from remediate.model.target import Target

TASK_SECONDS = 0.2
OVERHEAD = 2.0
GAIN = 0.1
ADDRESS, PORT, USER = "127.0.0.2", 8895, "bench@lab"
_QUERY: Any = vmodl.query.PropertyCollector


class Password:
    """The one secret, by its ``file:`` reference."""

    def resolve(self, reference: str) -> str:
        """Its text."""
        return Path(reference.removeprefix("file:")).read_text()


@dataclass
class Place:
    """A vCenter with machines, and two ways to it: pyvmomi's, and that of a run."""

    targets: Sequence[Target]
    api: Any
    faults: Faults
    folder: Path
    runs: int = 0

    def machines(self) -> list[Any]:
        """All of them, found by their instance UUIDs."""
        index = self.api.content.searchIndex
        return [index.FindByUuid(None, t.vars["vm_instance_uuid"], True, True) for t in self.targets]

    def clean(self) -> None:
        """No snapshots."""
        self.faults.tasks_take(0)
        wait(self.api, [m.RemoveAllSnapshots_Task() for m in self.machines()])
        self.faults.tasks_take(TASK_SECONDS)

    def guard(self, step: VmSnapshot) -> float:
        """Seconds of the step over all machines."""
        self.clean()
        self.runs += 1
        with ClientPool() as pool:
            contexts = [
                Context(
                    target=target,
                    token=Token(f"r-{self.runs:08x}", "b01-vm-snapshot", 1),
                    clients=pool,
                    secrets=Password(),
                    artefacts=self.folder,
                    workspace=self.folder,
                )
                for target in self.targets
            ]
            for context in contexts:
                step.observe(context)  # as a run does before its first step: it has a session by then
            began = time.perf_counter()
            results = step.apply_many(contexts)
            took = time.perf_counter() - began
        bad = [r.summary for r in results.values() if r.status is not Status.OK]
        if bad or len(results) != len(self.targets):
            raise SystemExit(f"{len(bad)} snapshots were not taken, such as: {bad[:1]}")
        return took

    def bare(self) -> float:
        """Seconds of the tasks alone, all at once."""
        self.clean()
        machines = self.machines()
        began = time.perf_counter()
        wait(self.api, [_start(m) for m in machines])
        return time.perf_counter() - began

    def serial(self) -> float:
        """Seconds of the tasks alone, one after the other."""
        self.clean()
        machines = self.machines()
        began = time.perf_counter()
        for one in machines:
            WaitForTask(_start(one), si=self.api)  # type: ignore[no-untyped-call]
        return time.perf_counter() - began


def _start(machine: Any) -> Any:
    return machine.CreateSnapshot_Task(name="bench", description="", memory=False, quiesce=False)


def wait(api: Any, tasks: Sequence[Any]) -> None:
    """Until all have succeeded, asking for all in one call."""
    collector = api.content.propertyCollector
    left = list(tasks)
    while left:
        spec = _QUERY.FilterSpec(
            objectSet=[_QUERY.ObjectSpec(obj=t) for t in left],
            propSet=[_QUERY.PropertySpec(type=vim.Task, pathSet=["info.state"])],
        )
        page = collector.RetrievePropertiesEx([spec], _QUERY.RetrieveOptions())
        states = {o.obj._moId: o.propSet[0].val for o in page.objects}
        if "error" in states.values():
            raise SystemExit("a task failed")
        left = [t for t in left if states[t._moId] != "success"]
        time.sleep(0.05 if left else 0)


@contextmanager
def place(count: int) -> Iterator[Place]:
    """A vCenter with so many machines, for the time of the block."""
    program = vcenter_build.build(MAIN.cache, lambda line: print(line, file=sys.stderr))
    with tempfile.TemporaryDirectory(prefix="bench-vcenter-") as name, ended_in_order():
        home = Path(name)
        targets = _settings(home, count)
        with (home / "log").open("wb") as log:
            process = subprocess.Popen([program, f"-config={home / 'config.json'}"], stdout=log, stderr=log)
        try:
            yield Place(targets, _connect(home), Faults(Layout(home, "", "")), home)
        finally:
            process.kill()
            process.wait()


def _settings(home: Path, count: int) -> list[Target]:
    """Writes what the vCenter needs; returns its machines as an inventory would describe them."""
    ca.ensure(home / "ca")
    certificate, key = ca.issue(home / "ca", "vcenter.bench", ADDRESS)
    (home / "server.crt").write_text(certificate)
    (home / "server.key").write_text(key)
    (home / "password").write_text("only on loopback, for minutes")
    (home / "vcenter").mkdir()
    uuids = {f"vm{n:03d}": str(uuid.uuid4()) for n in range(count)}
    machines = [
        {
            "name": name,
            "instance_uuid": one,
            "address": "192.0.2.1",
            "notes": "",
            "cpus": 1,
            "memory_mb": 512,
            "snapshots": str(home / "snapshots" / name),
            "power": [],
            "tools": [],
        }
        for name, one in uuids.items()
    ]
    config = {
        "listen": f"{ADDRESS}:{PORT}",
        "certificate": str(home / "server.crt"),
        "key": str(home / "server.key"),
        "control": str(home / "vcenter" / "control"),
        "hook": ["false"],
        "effects": "none",
        "capacity": 1 << 40,
        "users": [{"name": USER, "password_file": str(home / "password"), "read_only": False}],
        "machines": machines,
    }
    (home / "config.json").write_text(json.dumps(config))
    shared = {
        "vcenter_hostname": ADDRESS,
        "vcenter_port": PORT,
        "vcenter_username": USER,
        "vcenter_password": f"file:{home / 'password'}",
        "vcenter_ca_file": str(home / "ca" / "ca.pem"),
    }
    return [Target(name=n, address=n, vars={**shared, "vm_instance_uuid": u}) for n, u in uuids.items()]


def _connect(home: Path) -> Any:
    deadline = time.monotonic() + 60
    context = ssl.create_default_context(cafile=home / "ca" / "ca.pem")
    while True:
        try:
            return SmartConnect(  # type: ignore[no-untyped-call]
                host=ADDRESS, port=PORT, user=USER, pwd=(home / "password").read_text(), sslContext=context
            )
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit((home / "log").read_text()) from None
            time.sleep(0.05)


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    all_at_once = VmSnapshot(together=count, per_datastore=count)
    with place(count) as there:
        figures = interleaved(
            rounds,
            {
                "guard": lambda: there.guard(all_at_once),
                "bare": there.bare,
                "serial": there.serial,
                "default": lambda: there.guard(VmSnapshot()),
            },
        )
        print(f"{machine()}; {count} machines, tasks of {TASK_SECONDS * 1000:.0f} ms")
    found = medians(figures)
    verdicts = Verdicts()
    verdicts.at_most("guard / bare bulk waiter", found["guard"] / found["bare"], OVERHEAD)
    verdicts.at_most("guard / serial loop", found["guard"] / found["serial"], GAIN)
    verdicts.end()


if __name__ == "__main__":
    main()
