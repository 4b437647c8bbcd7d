"""Resize a virtual machine and patch it, under a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from remediate.authoring import (
    DebianPackage,
    DebianVersion,
    Http,
    Package,
    PoolMember,
    Risk,
    RiskLevel,
    Runbook,
    Service,
    ServiceIs,
    Step,
    UnitName,
    VmReconfigure,
    VmSnapshot,
    Waves,
)


class ResizeVm(Runbook):
    """Give a virtual machine more processors and memory, and upgrade a package, all under one snapshot.

    The machine leaves the load balancer's pool, is shut down for what it can't take while it runs, and comes
    back. What goes back on a failure: the whole machine, by its snapshot, with its size; then the pool.
    """

    class Inputs(Runbook.Inputs):
        cpus: Annotated[int, Field(ge=1, le=64, description="a number of processors")]
        memory_mb: Annotated[int, Field(ge=64, multiple_of=4, description="memory in MiB")]
        package: DebianPackage
        version: DebianVersion
        service: UnitName = "shop"
        patience: Annotated[int, Field(ge=1, le=600, description="seconds for the service to answer")] = 60

    targets = "web"
    peers = "lb"
    strategy = Waves(canary=1, then=1)
    risk = Risk(
        level=RiskLevel.MEDIUM,
        outage="none for customers: one machine at a time is out of the pool, for some minutes",
        data_loss="a rollback loses what was written to the machine's own disks meanwhile",
    )

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        snapshot = VmSnapshot()
        healthy = Http("http://{target.address}/healthz", status=200, within=inputs.patience)
        yield PoolMember(state="drain", label="leave the load balancer's pool")
        yield VmReconfigure(
            cpus=inputs.cpus,
            memory_mb=inputs.memory_mb,
            power_cycle=True,
            protect=[snapshot],
            verify=[healthy],
        )
        yield Package(
            name=inputs.package,
            version=inputs.version,
            services=[inputs.service],
            protect=[snapshot],
        )
        yield Service(
            name=inputs.service,
            state="restarted",
            protect=[snapshot],
            verify=[ServiceIs(inputs.service, active=True), healthy],
        )
        yield PoolMember(state="ready", label="return to the load balancer's pool")
