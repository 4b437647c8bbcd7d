"""Three lines on every router."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.authoring import ConfigLines, Risk, Runbook, Step, Waves


class DeviceLines(Runbook):
    """Change three lines on every router."""

    class Inputs(Runbook.Inputs):
        value: str

    targets = "routers:!rc1"
    strategy = Waves(canary=0, then="100%")
    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        number = inputs.value.removeprefix("v")
        # A timer would be work that the peer doesn't do; routes to nowhere cut no way.
        yield ConfigLines(
            lines=[f"ip route 198.{n}.{number}.0/24 blackhole" for n in (18, 19, 51)], cuts_path=False
        )
