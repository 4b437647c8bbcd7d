"""Runbooks for routers, with what a test wants to be asked before a change may stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from remediate.authoring import (
    Check,
    ConfigLines,
    Risk,
    RiskLevel,
    Runbook,
    Step,
    Tcp,
    Verify,
    Waves,
)


class RouterLines(Runbook):
    """Enter lines on routers."""

    class Inputs(Runbook.Inputs):
        """The lines, and a port on this machine that must accept before they stay."""

        lines: str = Field(description="separated by semicolons")
        parents: str = Field(default="", description="what they stand below, separated by semicolons")
        timer: int = Field(default=12, description="seconds")
        port: int = Field(default=0, description="0: none")
        wait: int = Field(default=20, description="seconds for the port")
        revert: Literal["auto", "none"] = Field(default="auto", description="none: no timer guards it")
        later: bool = Field(default=False, description="ask for the port in a step of its own")

    targets = "routers"
    strategy = Waves(canary=1, then="100%")
    risk = Risk(level=RiskLevel.LOW, outage="none", data_loss="none")

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        """The change."""
        port: list[Check] = []
        if inputs.port:
            port = [Tcp("127.0.0.1", inputs.port, within=inputs.wait, every=0.1, once=True)]
        yield ConfigLines(
            lines=tuple(inputs.lines.split(";")),
            parents=tuple(p for p in inputs.parents.split(";") if p),
            revert=inputs.revert,
            revert_after=inputs.timer,
            verify=[] if inputs.later else port,
        )
        if inputs.later:
            yield Verify(port)
