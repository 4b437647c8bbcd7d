"""The flagship, by the real command line: forward and back, and broken at each of its steps in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from _pytest.mark import ParameterSet

from tests.e2e.ticket import complete
from tests.e2e.world import FULL, differences, until
from tests.payments.conftest import Bank

pytestmark = [pytest.mark.lab, pytest.mark.slow]

QUICK = ("load_seconds=1", "users=2", "patience=2")
TARGETS = ("db1", "web1", "web2")
ORDER: dict[str, object] = {"payer": 3, "payee": 4, "amount": "5.00"}
DEB = "/srv/payments/payments_2.4-1_all.deb"

Fault = Callable[[Bank], AbstractContextManager[None]]


def test_the_module_is_repaired_and_taken_back_without_losing_payments(
    bank: Bank, original: dict[str, object]
) -> None:
    referred = ORDER | {"reference": "invoice 1"}
    assert bank.pay(referred)[0] == 500, "what the ticket is about"
    bank.ready_to_run(*QUICK)
    bank.cli("run", "fix.plan.json").expect(0)
    assert bank.finals() == dict.fromkeys(TARGETS, "verified-new")
    assert [bank.version(name, "payments") for name in ("web1", "web2")] == ["2.4-1"] * 2
    complete(bank)
    status, answer = bank.pay(referred)
    assert status == 201
    bank.cli("rollback", "last").expect(4)
    assert bank.finals() == dict.fromkeys(TARGETS, "verified-original")
    paid = f"FROM transfers WHERE id = {answer['id']}"
    assert bank.sql(f"SELECT payer, payee, amount {paid}") == "3\t4\t5.00"
    assert bank.sql("SELECT balance FROM accounts WHERE id IN (3, 4)").split() == ["995.00", "1005.00"]
    bank.sql(f"DELETE {paid}")
    bank.sql("UPDATE accounts SET balance = 1000 WHERE id IN (3, 4)")
    assert differences(original, bank.everything()) == {}
    bank.clean_snapshots()
    bank.cli("audit", "--all").expect(0)


@contextmanager
def nothing(bank: Bank) -> Iterator[None]:
    """The inputs are wrong enough."""
    yield


@contextmanager
def sick(bank: Bank, server: str) -> Iterator[None]:
    """The load balancer's health check of a server asks where nobody answers."""
    bank.admin(f"set server payments/{server} check-port 1")
    until(lambda: bank.module()[server].startswith("DOWN"))
    try:
        yield
    finally:
        bank.admin(f"set server payments/{server} check-port 8081")


@contextmanager
def no_other_server(bank: Bank) -> Iterator[None]:
    """web2 does not answer the load balancer, so web1 can't leave the pool."""
    with sick(bank, "web2"):
        yield


@contextmanager
def no_snapshot(bank: Bank) -> Iterator[None]:
    """The datastore is full."""
    bank.faults.task_fails("CreateSnapshot_Task", "NoDiskSpace", vm="web1")
    yield


@contextmanager
def no_dump(bank: Bank) -> Iterator[None]:
    """The program that dumps ends with an error before its end."""
    programs = bank.temp / "bin"
    programs.mkdir()
    dump = programs / "mariadb-dump"
    dump.write_text("#!/bin/sh\necho 'mariadb-dump: Error 1412: Table definition has changed' >&2\nexit 3\n")
    dump.chmod(0o755)
    bank.env["PATH"] = f"{programs}:{bank.environment()['PATH']}"
    yield


@contextmanager
def table_in_use(bank: Bank) -> Iterator[None]:
    """Somebody's long report keeps the table from being altered."""
    report = "SELECT sleep(100) FROM transfers LIMIT 1"
    bank.on("db1", "sudo", "systemd-run", "--quiet", "--unit=report", "mariadb", "payments", "-e", report)
    try:
        yield
    finally:
        bank.on("db1", "sudo", "systemctl", "stop", "report")


@contextmanager
def no_right(bank: Bank) -> Iterator[None]:
    """Somebody took a right from the module's account: it looks healthy, and can't pay."""
    account = f"payments@'{bank.lab.layout.network}.%'"
    bank.sql(f"REVOKE UPDATE ON payments.* FROM {account}")
    try:
        yield
    finally:
        bank.sql(f"GRANT UPDATE ON payments.* TO {account}")


def no_package(host: str) -> Fault:
    """The repository of a host no longer has the file."""

    @contextmanager
    def fault(bank: Bank) -> Iterator[None]:
        bank.on(host, "sudo", "mv", DEB, f"{DEB}.away")
        try:
            yield
        finally:
            bank.on(host, "sudo", "mv", f"{DEB}.away", DEB)

    return fault


@contextmanager
def not_healthy_again(bank: Bank) -> Iterator[None]:
    """The load balancer can't see that web1 is healthy."""
    with sick(bank, "web1"):
        yield


def case(name: str, step: str, fault: Fault, *inputs: str, always: bool = False) -> ParameterSet:
    """One break; those that are not for always need REMEDIATE_FULL=1."""
    marks = () if always or FULL else (pytest.mark.skip("only with REMEDIATE_FULL=1"),)
    return pytest.param(step, fault, inputs, id=name, marks=marks)


@pytest.mark.parametrize(
    ("step", "fault", "inputs"),
    [
        case("database backup", "db1 · back up the MariaDB database payments", no_dump),
        case("snapshot", "web1 · take a snapshot", no_snapshot),
        case("drain", "web1 · leave the load balancer's pool", no_other_server),
        case("migration", "db1 · add the column", table_in_use),
        case("package", "web1 · install payments 2.4-1", no_package("web1")),
        case("settings refused", "web1 · write /etc/payments/payments.conf", nothing, "version=2.3-1"),
        case("not healthy", "web1 · write /etc/payments/payments.conf", nothing, "database_host=db9"),
        case("bad version", "web1 · test the module's interface", nothing, "version=2.5-1"),
        case("API tests", "web1 · test the module's interface", no_right),
        case("load test", "web1 · load it with payments", nothing, "p95_ms=1"),
        case("return", "web1 · return to the load balancer's pool", not_healthy_again),
        case("machine", "web1 · test the module's interface", no_right, "database_snapshot=true"),
        case("second wave", "web2 · install payments 2.4-1", no_package("web2"), always=True),
    ],
)
def test_broken_at_a_step_everything_is_as_it_was(
    bank: Bank, original: dict[str, object], step: str, fault: Fault, inputs: tuple[str, ...]
) -> None:
    bank.ready_to_run(*QUICK, *inputs)
    with fault(bank):
        done = bank.cli("run", "fix.plan.json").expect(4)
    assert step in done.out
    assert bank.finals() == dict.fromkeys(TARGETS, "verified-original")
    assert bank.locks() == {}
    assert differences(original, bank.everything()) == {}
