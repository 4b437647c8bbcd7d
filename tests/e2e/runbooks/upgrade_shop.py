"""The same patch as `patch-package`, by typed steps alone: some seconds instead of Ansible's many."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.authoring import (
    DebianVersion,
    Http,
    Package,
    PoolMember,
    Risk,
    Runbook,
    Service,
    Step,
    Waves,
)


class UpgradeShop(Runbook):
    """Upgrade the shop, a canary first, each host out of the pool meanwhile."""

    class Inputs(Runbook.Inputs):
        version: DebianVersion

    targets = "web"
    peers = "lb"
    strategy = Waves(canary=1, then=2)
    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield PoolMember(state="drain")
        yield Package(name="shop", version=inputs.version, services=("shop",))
        yield Service(
            name="shop",
            state="restarted",
            verify=[Http("http://{target.address}/healthz", status=200, within="5s")],
        )
        yield PoolMember(state="ready")
