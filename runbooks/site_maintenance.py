"""One plan over a site's link, its machines and their service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from remediate.authoring import (
    DebianPackage,
    DebianVersion,
    Http,
    Ipv4Prefix,
    MoveTraffic,
    Package,
    PoolMember,
    Risk,
    RiskLevel,
    Runbook,
    Service,
    ServiceIs,
    Step,
    Traffic,
    UnitName,
    VmSnapshot,
    Waves,
)


class SiteMaintenance(Runbook):
    """Move a site's traffic to its backup link, then patch its machines, each under a snapshot.

    For a window in which the primary link is worked on as well. All of it is one change: whatever fails, the
    machines go back to their snapshots, then into the pool, and the traffic returns to the primary link.
    Narrow the targets to the two routers of the primary link and to the machines.
    """

    class Inputs(Runbook.Inputs):
        package: DebianPackage
        version: DebianVersion
        service: UnitName = "shop"
        patience: Annotated[int, Field(ge=1, le=600, description="seconds for the service to answer")] = 30
        near: str = "ra1"
        far: str = "rb1"
        near_net: Ipv4Prefix = "10.221.77.0/24"
        far_net: Ipv4Prefix = "10.222.77.0/24"
        primary: str = "eth2"
        backup: str = "eth1"
        probe_from: str = "desk1"

    targets = "edge:web"
    peers = "lb:desk"
    strategy = Waves(canary=0, then="100%")
    risk = Risk(
        level=RiskLevel.HIGH,
        outage="a few seconds while the routers change; the site has one link and fewer machines meanwhile",
        data_loss="a rollback loses what was written to the machines' own disks meanwhile",
    )

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        snapshot = VmSnapshot(on="web")
        for router, prefix in ((inputs.near, inputs.far_net), (inputs.far, inputs.near_net)):
            yield MoveTraffic(on=router, primary=inputs.primary, backup=inputs.backup, prefix=prefix)
        yield PoolMember(on="web", state="drain", label="leave the load balancer's pool")
        yield Package(
            on="web",
            name=inputs.package,
            version=inputs.version,
            services=[inputs.service],
            protect=[snapshot],
        )
        yield Service(
            on="web",
            name=inputs.service,
            state="restarted",
            protect=[snapshot],
            verify=[
                ServiceIs(inputs.service, active=True),
                Http("http://{target.address}/healthz", status=200, within=inputs.patience),
                Traffic(frm=inputs.probe_from, to="{target.vars.site_address}", within="15s"),
            ],
        )
        yield PoolMember(on="web", state="ready", label="return to the load balancer's pool")
