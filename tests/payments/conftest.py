"""A lab of a load balancer, two web servers with the payment module, and the database host behind them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from remediate.lab import payments, pool
from remediate.lab.hosts import Hosts
from remediate.lab.inventory import write_inventory
from remediate.lab.jmeter import JMeter
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from remediate.lab.vcenter import VCenter
from remediate.lab.vcenter_faults import Faults
from tests.e2e.conftest import people, quiet
from tests.e2e.world import World, temporary, until

#: Fixed, so that the next session finds and removes what a killed one has left.
LAYOUT = Layout(Path("/var/lib/remediate-lab-pay"), "rmpay", "10.213.85")
#: lb1, web1, web2; and db1.
TOTAL = 3
HOSTS = ("web1", "web2", "db1", "lb1")
UNITS = {"db1": ("mariadb", "postgresql"), "lb1": ("haproxy",)}
_COUNTER = re.compile(r" AUTO_INCREMENT=\d+")


@dataclass
class Bank(World):
    """A project over the payment module, and what outsiders see of it."""

    faults: Faults = field(default_factory=lambda: Faults(LAYOUT))
    plans: Path = Path()
    """Approved plans of this session, one folder for each choice of inputs."""

    def inventory(self) -> None:
        """Hosts, their vCenter, and the database servers."""
        write_inventory(self.root / "inventory", TOTAL, self.lab.layout, databases=True)

    def ready_to_run(self, *args: str) -> None:
        """An approved plan of the flagship with these inputs; made once, as the hosts are always the same."""
        kept = self.plans / str(abs(hash(args)))
        if kept.exists():
            shutil.copytree(kept, self.root, dirs_exist_ok=True)
            return
        self.approve(self.plan("fix-payments", f"jmeter={JMeter().program}", *args), "carol", "dan")
        shutil.copytree(self.root, kept)

    def fingerprint(self, host: str) -> dict[str, object]:
        """Files, packages and units; of the database host also all rows and definitions."""
        found = self.disk_facts(host)
        found |= {f"package:{name}": version for name, version in installed(self.disk(host)).items()}
        units = UNITS.get(host, ("payments", "shop", "nginx"))
        shown = self.lab.exec(host, ["systemctl", "is-active", *units]).stdout.split()
        found |= {f"unit:{unit}": state for unit, state in zip(units, shown, strict=True)}
        if host == "db1":
            found["database"] = self.dump()
        return found

    def everything(self) -> dict[str, object]:
        """All hosts, the database, and both pools."""
        return self.fingerprints(HOSTS) | {f"payments {k}": v for k, v in self.settled_module().items()}

    def settled_module(self) -> dict[str, str]:
        """The module's pool, once the load balancer has caught up."""
        until(lambda: "DOWN" not in {state.split()[0] for state in self.module().values()}, 15)
        return self.module()

    def module(self) -> dict[str, str]:
        """What the load balancer says about the module's servers."""
        return pool.states(self.lab.machine("lb1").address, backend=payments.BACKEND)

    def dump(self) -> str:
        """Definitions and rows of the module's database, as its own program writes them on its own host."""
        options = ["--skip-dump-date", "--skip-comments", "--order-by-primary", "--routines", "--triggers"]
        return _COUNTER.sub("", self.on("db1", "sudo", "mariadb-dump", *options, "payments"))

    def sql(self, statement: str) -> str:
        """Execute it as a person who sits at the database host."""
        return self.on("db1", "sudo", "mariadb", "--skip-column-names", "payments", "-e", statement).strip()

    def pay(self, order: dict[str, object], host: str = "lb1") -> tuple[int, dict[str, object]]:
        """What a customer gets, by the load balancer."""
        words = ["curl", "-s", "-w", "\n%{http_code}", "-d", json.dumps(order)]
        body, _, status = self.on("lb1", *words, f"http://{host}:{payments.PORT}/payments").rpartition("\n")
        return int(status), json.loads(body)

    def admin(self, command: str) -> None:
        """Say something to the load balancer."""
        argv = ["sudo", "socat", "stdio", "unix:/run/haproxy/admin.sock"]
        done = self.lab.exec("lb1", argv, stdin=f"{command}\n")
        assert (done.returncode, done.stdout.strip()) == (0, ""), done

    def clean_snapshots(self) -> None:
        """Delete what the run keeps in vCenter, as a person does afterwards; then no machine has one."""
        assert self.snapshots()
        self.cli("snapshots", "clean", self.run, "--yes").expect(0)
        assert self.snapshots() == []

    def snapshots(self) -> list[Path]:
        """Where the lab keeps the disks of all snapshots."""
        return [path for path in self.lab.layout.hosts.glob("*/snapshots/*") if path.is_dir()]


def installed(disk: Path) -> dict[str, str]:
    """Versions by package, of those that the payment module is about."""
    found = {}
    for stanza in (disk / "var/lib/dpkg/status").read_text().split("\n\n"):
        if stanza.startswith(("Package: payments\n", "Package: shop\n", "Package: mariadb-server\n")):
            found[stanza.partition("\n")[0]] = re.sub(r"(?s).*^Version: (\S+)$.*", r"\1", stanza, flags=re.M)
    return found


def forget_snapshots() -> None:
    """Delete all snapshots, at once and past vCenter.

    They stay for as long as a rollback may be asked for, and runs of one plan in two projects have one id:
    the second would adopt the snapshot of the first.
    """
    vcenter = VCenter(LAYOUT)
    vcenter.down()
    for folder in LAYOUT.hosts.glob("*/snapshots"):
        shutil.rmtree(folder)
    vcenter.up(quiet)


@pytest.fixture(scope="session")
def lab() -> Iterator[Hosts]:
    """Running; one session at a time on this machine."""
    hosts, vcenter = Hosts(LAYOUT, TOTAL, databases=True), VCenter(LAYOUT)
    with locked(Path("/run/remediate-lab-pay.lock"), quiet):
        vcenter.down()
        hosts.down()
        try:
            hosts.up(quiet)
            vcenter.up(quiet)
            people(LAYOUT.home / "people")
            yield hosts
        finally:
            vcenter.down()
            hosts.down()
            shutil.rmtree(LAYOUT.home, ignore_errors=True)


@pytest.fixture(scope="session")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where approved plans are kept."""
    return tmp_path_factory.mktemp("plans")


@pytest.fixture
def bank(lab: Hosts, plans: Path, tmp_path: Path) -> Iterator[Bank]:
    """A project over hosts that are as they were built."""
    made = Bank(lab, tmp_path / "project", temporary(), plans=plans)
    made.root.mkdir()
    made.fill()
    try:
        yield made
    finally:
        made.faults.clear()
        made.end()


@pytest.fixture(scope="session")
def _original() -> dict[str, object]:
    """How everything was at the beginning; filled by the first test."""
    return {}


@pytest.fixture
def original(
    request: pytest.FixtureRequest, bank: Bank, _original: dict[str, object]
) -> Iterator[dict[str, object]]:
    """How everything is before the test, and is again after it: so no test needs a reset of the lab."""
    if not _original:
        _original.update(bank.everything())
    failed = request.session.testsfailed
    yield _original
    if request.session.testsfailed > failed:
        # A test that failed half-way must not take the others along.
        bank.lab.reset(quiet)
        _original.clear()
    forget_snapshots()
