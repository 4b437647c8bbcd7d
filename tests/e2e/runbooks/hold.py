"""Runbooks that stop half-way until a test lets them go on: by a file on the host, so nobody has to guess."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from remediate.authoring import Command, File, Risk, Runbook, RunCommand, Step, Waves
from remediate.model.base import Duration
from remediate.model.step import Estimate

QUICK = Estimate(apply=1, verify=1, undo=1)
WAIT = (
    "while [ ! -e /run/e2e-go ]; do sleep 0.05; done; echo done >> /var/log/e2e-held; echo {0} > /etc/e2e-2"
)


class Hold(Runbook):
    """Write three files; the second only after /run/e2e-go is there."""

    class Inputs(Runbook.Inputs):
        text: str = "new"
        broken: bool = False

    targets = "web"
    strategy = Waves(canary=1, then=2)
    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield File(path="/etc/e2e-1", content=f"{inputs.text}\n", estimate=QUICK)
        yield RunCommand(
            argv=("/bin/sh", "-c", WAIT.replace("{0}", inputs.text)),
            touches=("/etc/e2e-2",),
            idempotent=True,
            estimate=QUICK,
        )
        yield File(
            path="/etc/e2e-3",
            content=f"{inputs.text}\n",
            estimate=QUICK,
            verify=[Command(["test", "-e", "/nowhere"])] if inputs.broken else [],
        )


class HoldBriefly(Hold):
    """The same, but whoever is in doubt is asked about after three seconds."""

    doubt_patience: ClassVar[Duration] = 3.0


class HoldOpaque(Runbook):
    """One command that nobody can look into, and that its own undo takes back."""

    targets = "web"
    risk = Risk(outage="none", data_loss="none")
    doubt_patience: ClassVar[Duration] = 3.0

    def steps(self, inputs: Runbook.Inputs) -> Iterator[Step]:
        yield RunCommand(
            argv=("/bin/sh", "-c", WAIT.replace("{0}", "new")),
            undo_with=("rm", "-f", "/etc/e2e-2"),
            estimate=QUICK,
        )
