"""Patch a package on a web tier behind a load balancer."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.authoring import (
    Command,
    DebianPackage,
    DebianVersion,
    Http,
    Playbook,
    PoolMember,
    Risk,
    RiskLevel,
    Runbook,
    Step,
    Symptom,
    UnitName,
    Watch,
    Waves,
)


class PatchPackage(Runbook):
    """Upgrade one Debian package on the web tier, a canary first.

    Each host leaves the load balancer's pool, gets the package, is verified from outside, and returns.
    What goes back on a failure: the old packages with their configuration files, then the pool.
    """

    class Inputs(Runbook.Inputs):
        package: DebianPackage
        version: DebianVersion
        service: UnitName = "shop"

    targets = "web"
    peers = "lb"
    strategy = Waves(canary=1, then="50%", failure_budget=0)
    risk = Risk(
        level=RiskLevel.MEDIUM,
        outage="none for customers: each host leaves the pool for under a minute",
        data_loss="none",
    )
    symptoms = (Symptom(pattern=r"CVE-\d{4}-\d+", means="a package has a known vulnerability"),)

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield PoolMember(state="drain", label="leave the load balancer's pool")
        yield Playbook(
            "playbooks/patch_package.yml",
            label=f"install {inputs.package} {inputs.version} and restart {inputs.service}",
            vars=inputs,
            watch=Watch(packages={inputs.package: inputs.version}, services=[inputs.service]),
            verify=[
                Command(["dpkg-query", "-W", "-f=${Version}", inputs.package], equals=inputs.version),
                Http("http://{target.address}/healthz", status=200, within="15s"),
            ],
        )
        yield PoolMember(state="ready", label="return to the load balancer's pool")
