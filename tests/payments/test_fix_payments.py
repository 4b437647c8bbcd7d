"""The flagship, by the real command line: forward and back, and broken at each of its steps in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.e2e.ticket import complete
from tests.e2e.world import differences, until
from tests.payments.conftest import Bank

pytestmark = [pytest.mark.lab, pytest.mark.slow]

QUICK = ("load_seconds=1", "users=2", "patience=2")
TARGETS = ("db1", "web1", "web2")
ORDER: dict[str, object] = {"payer": 3, "payee": 4, "amount": "5.00"}
DEB = "/srv/payments/payments_2.4-1_all.deb"

Fault = Callable[[Bank], AbstractContextManager[None]]


def test_the_module_is_repaired_and_can_be_taken_back(bank: Bank, original: dict[str, object]) -> None:
    assert bank.pay(ORDER | {"reference": "invoice 1", "dry_run": True})[0] == 500, "what the ticket is about"
    bank.ready_to_run(*QUICK)
    bank.cli("run", "fix.plan.json").expect(0)
    assert set(bank.finals().values()) == {"verified-new"}
    assert [bank.version(name, "payments") for name in ("web1", "web2")] == ["2.4-1"] * 2
    assert bank.pay(ORDER | {"reference": "invoice 1", "dry_run": True})[0] == 200
    complete(bank)
    bank.cli("rollback", "last").expect(4)
    assert differences(original, bank.everything()) == {}
    bank.cli("audit", "--all").expect(0)
    bank.clean_snapshots()


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


@pytest.mark.parametrize(
    ("fault", "inputs", "step"),
    [
        (no_other_server, (), "web1 · leave the load balancer's pool"),
        (no_dump, (), "db1 · back up the MariaDB database payments"),
        (no_snapshot, (), "web1 · take a snapshot"),
        (table_in_use, (), "db1 · add the column"),
        (no_package("web1"), (), "web1 · install payments 2.4-1"),
        (nothing, ("version=2.3-1",), "web1 · write /etc/payments/payments.conf"),
        (nothing, ("database_host=db9",), "web1 · write /etc/payments/payments.conf"),
        (nothing, ("version=2.5-1",), "web1 · test the module's interface"),
        (nothing, ("p95_ms=1",), "web1 · load it with payments"),
        (not_healthy_again, (), "web1 · return to the load balancer's pool"),
        (no_package("web2"), (), "web2 · install payments 2.4-1"),
    ],
    ids=[
        "drain",
        "database backup",
        "snapshot",
        "migration",
        "package",
        "settings refused",
        "not healthy",
        "API tests",
        "load test",
        "return",
        "second wave",
    ],
)
def test_broken_at_a_step_everything_is_as_it_was(
    bank: Bank, original: dict[str, object], fault: Fault, inputs: tuple[str, ...], step: str
) -> None:
    bank.ready_to_run(*QUICK, *inputs)
    with fault(bank):
        done = bank.cli("run", "fix.plan.json").expect(4)
    assert f"{step}" in done.out
    assert set(bank.finals().values()) <= {"verified-original", "untouched"}
    assert bank.locks() == {}
    assert differences(original, bank.everything()) == {}
    complete(bank)
    bank.clean_snapshots()


def test_payments_that_others_make_meanwhile_stay(bank: Bank, original: dict[str, object]) -> None:
    """A rollback takes the column away, and neither money nor a payment."""
    bank.ready_to_run(*QUICK)
    bank.cli("run", "fix.plan.json").expect(0)
    status, answer = bank.pay(ORDER | {"reference": "meanwhile"})
    assert status == 201
    bank.cli("rollback", "last").expect(4)
    paid = f"FROM transfers WHERE id = {answer['id']}"
    assert bank.sql(f"SELECT payer, payee, amount {paid}") == "3\t4\t5.00"
    assert bank.sql("SELECT sum(balance) FROM accounts") == "20000.00"
    assert set(differences(original, bank.everything())) == {"db1 database"}
    bank.clean_snapshots()
    bank.sql(f"DELETE {paid}")
    bank.sql("UPDATE accounts SET balance = 1000 WHERE id IN (3, 4)")
    assert differences(original, bank.everything()) == {}
