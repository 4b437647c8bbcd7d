"""Block an address range on the edge routers."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.authoring import (
    ConfigLines,
    Ipv4Prefix,
    Neighbors,
    Risk,
    RiskLevel,
    Routes,
    Runbook,
    StateUnchanged,
    Step,
    Symptom,
    Waves,
)


class BlockRange(Runbook):
    """Drop all packets to an address range on the edge routers, so that nobody there gets an answer.

    A static route to nowhere, which every FRR has: an attack from the range can open no connection. What
    goes back on a failure: the route, on every router.
    """

    class Inputs(Runbook.Inputs):
        prefix: Ipv4Prefix

    targets = "edge"
    strategy = Waves(canary=1, then="50%", soak="2s")
    risk = Risk(
        level=RiskLevel.MEDIUM,
        outage="whoever is in the range can't reach anything behind these routers",
        data_loss="none",
    )
    symptoms = (Symptom(pattern=r"attack|brute.?force|DDoS", means="traffic from a range is not wanted"),)

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield ConfigLines(
            lines=[f"ip route {inputs.prefix} blackhole"],
            label=f"drop packets to {inputs.prefix}",
            verify=[
                Routes(inputs.prefix, within="5s"),
                Neighbors("ospf", within="10s"),
                StateUnchanged(["show ip ospf neighbor"]),
            ],
        )
