"""The lab's hosts: a load balancer, a web tier, routers, and as many more as one wants to measure with."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from remediate.lab import ca, cgroups, databases, image, keys, network, payments, pool, router_net
from remediate.lab.interface import Item, Progress
from remediate.lab.layout import MAIN, Layout
from remediate.lab.locks import locked
from remediate.lab.machine import Machine
from remediate.lab.roster import DEFAULT, Host, Role, by_name, everyone, roster
from remediate.lab.router_net import Wire
from remediate.lab.seed import USERS

#: With the kernel's default of 128, half of 50 hosts never come up: each systemd takes several.
INOTIFY_INSTANCES = 4096
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
#: Set-up is mostly waiting for ip, mount and nspawn; more than this only makes the kernel's locks busy.
AT_ONCE = 12
BOOT_SECONDS = 120.0

T = TypeVar("T")


def login(host: Host) -> str:
    """Whose place a host is."""
    return USERS.get(host.role, ("ops",))[0]


def _silent(_line: str) -> None:
    """Progress for whoever wants none."""


@dataclass(slots=True)
class Hosts:
    """All hosts of one lab.

    Args:
        layout: which lab.
        total: how many hosts ``up`` starts; see ``roster`` for which.
        routers: how many routers there are besides; 4 are two sites with a primary and a backup link.
        databases: whether ``up`` starts the database host, and the payment module on the web hosts. A lab
            that has them keeps them until ``down``.
    """

    layout: Layout = MAIN
    total: int = DEFAULT
    routers: int = 0
    databases: bool = False
    name: str = "hosts"

    def packages(self) -> tuple[str, ...]:
        """What the machine itself needs."""
        return ("mmdebstrap", "systemd-container", "iproute2", "openssh-client", "util-linux", "mount")

    def up(self, progress: Progress) -> None:
        """Start all hosts that don't run, and wait until each answers SSH."""
        with self._locked(progress):
            wanted = [self.machine(host.name) for host in self._wanted()]
            if all(machine.on() for machine in wanted) and all(_in_parallel(Machine.answers, wanted)):
                return
            self._prepare(progress)
            layers = self._layers(progress)
            hosts = self._neighbours()
            self._make_room_for_databases(progress)
            off = [machine for machine in wanted if not machine.on()]
            progress(f"starting {len(off)} hosts")
            self._plug(wanted)
            _in_parallel(lambda machine: machine.power_on(layers[machine.host.role], hosts), off)
            self._wait(wanted)
            self._route(self._wanted())

    def _make_room_for_databases(self, progress: Progress) -> None:
        """Switch off what runs without the payment module and has to have it from now on."""
        there = self._found()
        if self.databases and "db1" not in there:
            old = [machine for machine in map(self.machine, there) if machine.host.role in ("web", "lb")]
            if old:
                progress("the web hosts and the load balancer start anew, with the payment module")
            _in_parallel(Machine.remove, old)

    def _prepare(self, progress: Progress) -> None:
        """What all hosts share."""
        if int(INOTIFY.read_text()) < INOTIFY_INSTANCES:
            INOTIFY.write_text(str(INOTIFY_INSTANCES))
        progress("making keys and certificates")
        keys.ensure(self.layout, self._wanted())
        ca.ensure(self.layout.ca)
        databases.ensure(self.layout)
        network.bridge_up(self.layout)

    def _plug(self, machines: list[Machine]) -> None:
        """Plug all cables in, also of hosts that have power and lost theirs."""
        _in_parallel(lambda machine: network.plug(self.layout, machine.host), machines)
        if any(host.routes for host in self._neighbours()):
            router_net.up(self.layout, tuple(machine.host for machine in machines))

    def _route(self, hosts: tuple[Host, ...]) -> None:
        """Mend what was cut between the routers, and wait until they have noticed it."""
        if any(host.routes for host in hosts):
            router_net.mend(self.layout)
            router_net.settle(self.layout, hosts)

    def _layers(self, progress: Progress) -> dict[Role, tuple[Path, ...]]:
        roles: set[Role] = {host.role for host in self._neighbours()}
        cache, pays = self.layout.cache, "db" in roles
        return {role: image.layers(role, cache, progress, pays=pays) for role in sorted(roles)}

    def _wait(self, machines: list[Machine]) -> None:
        """Wait until all answer, and until the load balancer has noticed it."""
        _in_parallel(lambda machine: machine.wait(BOOT_SECONDS), machines)
        there = [self.machine(name) for name in self._found()]
        balancers = [machine for machine in there if machine.host.role == "lb" and machine.answers()]
        servers = {machine.host.name: machine.address for machine in there if machine.host.pooled}
        for balancer in balancers:
            pool.settle(balancer.address, servers)
            if any(machine.host.role == "db" for machine in there):
                pool.settle(balancer.address, servers, backend=payments.BACKEND, port=payments.PORT)

    def down(self) -> None:
        """End and remove all hosts with their disks, also what a killed command left; keys and cache stay."""
        with self._locked(_silent):
            _in_parallel(Machine.remove, [self.machine(name) for name in self._found()])
            image.sweep(self.layout.cache, _silent)
            router_net.down(self.layout)
            network.bridge_down(self.layout)
            cgroups.remove(self.layout.prefix)

    def reset(self, progress: Progress, names: Iterable[str] = ()) -> None:
        """Return the hosts called ``names``, or all, to the state after the first ``up``: about a second."""
        with self._locked(progress):
            some = tuple(names)
            chosen = some or self._found()
            self._prepare(progress)
            layers = self._layers(progress)
            hosts = self._neighbours()
            machines = [self.machine(name) for name in chosen]
            self._plug(machines)
            _in_parallel(lambda machine: machine.reset(layers[machine.host.role], hosts), machines)
            self._wait(machines)
            if not some:
                self._route(hosts)

    def status(self) -> tuple[Item, ...]:
        """One line per host that is there or that ``up`` would start."""
        return tuple(_in_parallel(self._item, [self.machine(host.name) for host in self._neighbours()]))

    def _item(self, machine: Machine) -> Item:
        state, detail = "down", "no power"
        if machine.on():
            answers = machine.answers()
            state, detail = ("up", "") if answers else ("broken", "has power, but does not answer SSH")
        return Item(machine.host.name, machine.address, state, detail)

    def machine(self, name: str) -> Machine:
        """The host called ``name``."""
        return Machine(self.layout, by_name(name))

    def names(self) -> tuple[str, ...]:
        """Hosts that have a disk, in the order of the roster."""
        return tuple(name for name in self._found() if (self.layout.hosts / name / "upper").exists())

    def cut(self, name: str) -> None:
        """Pull a host's cable: whoever talks to it waits until his own deadline."""
        network.set_cable(self.layout, name, up=False)

    def restore(self, name: str) -> None:
        """Plug a host's cable in again."""
        network.set_cable(self.layout, name, up=True)

    def cut_wire(self, wire: Wire, *, silent: bool = False) -> None:
        """Cut a link between routers: both ends lose their carrier, or if ``silent`` only hear no more."""
        router_net.cut(self.layout, wire, silent=silent)

    def mend_wire(self, wire: Wire) -> None:
        """Mend a link, however it was cut."""
        router_net.mend(self.layout, (wire,))

    def power_off(self, name: str) -> None:
        """Cut a host's power; its disk stays. Its address then refuses connections."""
        machine = self.machine(name)
        # Its network is part of this machine's kernel, which would go on forwarding.
        router_net.unplug(self.layout, machine.host)
        machine.power_off()

    def power_on(self, name: str) -> None:
        """Start a host with the disk that it has, and wait until it answers SSH."""
        with self._locked(_silent):
            machine = self.machine(name)
            self._plug([machine])
            machine.power_on(self._layers(_silent)[machine.host.role], self._neighbours())
            self._wait([machine])

    def ssh(self, name: str, user: str = "") -> list[str]:
        """The ssh command for a host; append the remote command as one string.

        Args:
            name: the host.
            user: default ``ops``; on routers ``admin`` (whose shell is vtysh), or ``netops`` without that.
        """
        options = {
            "IdentityFile": self.layout.ssh_key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.layout.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": "5",
            "LogLevel": "ERROR",
        }
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        machine = self.machine(name)
        # No configuration of the user's own may change what is tested.
        return ["ssh", "-F", "/dev/null", *words, f"{user or login(machine.host)}@{machine.address}"]

    def exec(
        self, name: str, argv: Iterable[str], timeout: float = 30, stdin: str = "", user: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` on a host over SSH; its exit code never raises, but the deadline does.

        Args:
            name: the host.
            argv: the command; begin with ``sudo`` for root.
            timeout: seconds, after which ``subprocess.TimeoutExpired`` is raised.
            stdin: fed to the command.
            user: as for ``ssh``.
        """
        command = [*self.ssh(name, user), shlex.join(argv)]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )

    def _wanted(self) -> tuple[Host, ...]:
        """The hosts that ``up`` starts."""
        return roster(self.total, self.routers, databases=self.databases)

    def _neighbours(self) -> tuple[Host, ...]:
        """The hosts that know each other by name: those to start and those that are there."""
        named = {host.name for host in self._wanted()} | set(self._found())
        return tuple(sorted((by_name(name) for name in named), key=lambda host: host.number))

    def _found(self) -> tuple[str, ...]:
        """Every host of this lab that left any trace: a disk, a control group, a cable or a namespace."""
        disks = [path.parent.name for path in self.layout.hosts.glob("*/*") if path.name != keys.FOLDER]
        traces = {*disks, *cgroups.children(self.layout.prefix), *network.plugged(self.layout)}
        known = sorted(everyone(), key=lambda host: host.number)
        return tuple(host.name for host in known if host.name in traces)

    def _locked(self, progress: Progress) -> AbstractContextManager[None]:
        return locked(self.layout.home / "hosts.lock", progress)


def _in_parallel(work: Callable[[Machine], T], machines: Iterable[Machine]) -> list[T]:
    """Do ``work`` on many hosts at once; raises the first error after all have ended."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(work, machine) for machine in machines]
    return [future.result() for future in futures]
