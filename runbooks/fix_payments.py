"""Bring a payment module that fails to its next version, with the column and settings that this needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from remediate.authoring import (
    DatabaseBackup,
    DebianVersion,
    File,
    Http,
    JMeterPlan,
    Package,
    PoolMember,
    PytestFile,
    Risk,
    RiskLevel,
    Runbook,
    ServiceIs,
    SqlMigration,
    Step,
    Symptom,
    Thresholds,
    Verify,
    VmSnapshot,
    Waves,
)

_FILES = "runbooks/payments"
#: Answers of the restored backup that must be those of the source, beside every table's rows and checksum.
_QUERIES = (
    "SELECT count(*), sum(balance) FROM accounts",
    "SELECT count(*), sum(amount), max(id) FROM transfers",
)


class FixPayments(Runbook):
    """Repair the payment module: payments with a reference fail, because it has no place for one.

    The database gets the column, then one web server after the other leaves the pool, gets the new version
    and its settings, and must pass the API tests and a load test before it returns. Payments go on meanwhile:
    the old version works with the new column. What goes back on a failure: the web servers to their
    snapshots, the column by its own undo, then the pool. Payments that were made meanwhile stay.
    """

    class Inputs(Runbook.Inputs):
        version: DebianVersion = "2.4-1"
        database: str = "payments"
        database_host: str = "db1"
        pool: str = "payments"
        workers: Annotated[int, Field(ge=1, le=64, description="requests at the same time")] = 8
        patience: Annotated[int, Field(ge=1, le=600, description="seconds for the service to answer")] = 30
        users: Annotated[int, Field(ge=1, le=100, description="users of the load test")] = 4
        load_seconds: Annotated[int, Field(ge=1, le=600, description="how long the load test takes")] = 10
        p95_ms: Annotated[int, Field(ge=1, description="95 of 100 answers must be quicker")] = 500
        jmeter: Annotated[str, Field(description="the program, if it is not on the PATH")] = "jmeter"
        database_snapshot: Annotated[
            bool, Field(description="also a snapshot of db1: a rollback then loses later payments")
        ] = False

    targets = "db:web"
    peers = "lb"
    strategy = Waves(canary=2, then=1)
    risk = Risk(
        level=RiskLevel.HIGH,
        outage="none beyond the present one: one web server at a time is out of the pool, for about a minute",
        data_loss="a rollback drops the references of payments made meanwhile, but no payment",
        notes="with database_snapshot, a rollback also loses payments that were made after the snapshot",
    )
    symptoms = (
        Symptom(pattern=r"no place for a reference", means="payments with a reference fail"),
        Symptom(pattern=r"Unknown column 'reference'", means="the module is newer than its database"),
    )

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        machine = VmSnapshot(on="web")
        database = DatabaseBackup(engine="mariadb", database=inputs.database, queries=_QUERIES, on="db")
        whole = (VmSnapshot(on="db"),) if inputs.database_snapshot else ()
        healthy = Http(
            "http://{target.address}:8081/healthz",
            json_has={"status": "ok", "version": inputs.version},
            within=inputs.patience,
        )
        yield PoolMember(on="web", state="drain", backend=inputs.pool, label="leave the load balancer's pool")
        yield SqlMigration(
            on="db",
            engine="mariadb",
            database=inputs.database,
            forward=f"{_FILES}/add_reference.sql",
            backward=f"{_FILES}/drop_reference.sql",
            label="add the column transfers.reference",
            protect=(*whole, database),
        )
        yield Package(
            on="web", name="payments", version=inputs.version, services=["payments"], protect=[machine]
        )
        yield File(
            on="web",
            path="/etc/payments/payments.conf",
            template=f"{_FILES}/payments.conf.j2",
            vars={
                "database_host": inputs.database_host,
                "database": inputs.database,
                "workers": inputs.workers,
            },
            validated_by=("/usr/bin/payments", "--check-config", "{file}"),
            restart="payments",
            protect=[machine],
            verify=[ServiceIs("payments", active=True), healthy],
        )
        yield Verify(
            [PytestFile(f"{_FILES}/test_api.py", once=True)], on="web", what="test the module's interface"
        )
        yield Verify(
            [
                JMeterPlan(
                    path=f"{_FILES}/load.jmx",
                    users=inputs.users,
                    duration=inputs.load_seconds,
                    thresholds=Thresholds(p95_ms=inputs.p95_ms, samples=inputs.users),
                    program=inputs.jmeter,
                )
            ],
            on="web",
            what="load it with payments",
        )
        yield PoolMember(
            on="web", state="ready", backend=inputs.pool, label="return to the load balancer's pool"
        )
