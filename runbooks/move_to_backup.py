"""Move traffic between two sites to the backup link, for maintenance on the primary one."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.authoring import (
    Ipv4Prefix,
    MoveTraffic,
    Neighbors,
    Risk,
    RiskLevel,
    Runbook,
    Step,
    Traffic,
    Verify,
    Waves,
)


class MoveToBackup(Runbook):
    """Take the traffic off the primary link between two sites, at both ends, and prove where it flows.

    The OSPF cost of the primary link is raised on one router at each end. A host in one site sends packets
    to the other meanwhile, so that the loss is measured. ``remediate rollback`` moves the traffic back, with
    the same proof.
    """

    class Inputs(Runbook.Inputs):
        near: str = "ra1"
        far: str = "rb1"
        near_net: Ipv4Prefix = "10.221.77.0/24"
        far_net: Ipv4Prefix = "10.222.77.0/24"
        primary: str = "eth2"
        backup: str = "eth1"
        probe_from: str = "desk1"
        probe_to: str = "10.222.77.11"

    targets = "edge"
    peers = "desk"
    strategy = Waves(canary=0, then="100%")
    risk = Risk(
        level=RiskLevel.MEDIUM,
        outage="none to a few seconds while the routes change; less capacity until the traffic is back",
        data_loss="none",
    )
    acceptance = (Neighbors("ospf", count=2, within="10s"),)

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield Verify(
            [Traffic(frm=inputs.probe_from, to=inputs.probe_to, within="10s", once=True)],
            what="traffic flows before anything is changed",
            on=inputs.near,
        )
        for router, prefix in ((inputs.near, inputs.far_net), (inputs.far, inputs.near_net)):
            yield MoveTraffic(
                on=router,
                primary=inputs.primary,
                backup=inputs.backup,
                prefix=prefix,
                frm=inputs.probe_from,
                to=inputs.probe_to,
            )
