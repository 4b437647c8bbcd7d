"""Runbooks that stop half-way until a test lets them go on: by a file on the host, so nobody has to guess."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from remediate.authoring import Command, File, HostBackup, Risk, Runbook, RunCommand, Step, Waves
from remediate.model.base import Duration
from remediate.model.step import Estimate

GO = "/var/lib/e2e-go"
LOG = "/var/log/e2e-held"
QUICK = Estimate(apply=1, verify=1, undo=1)
SCRIPT = f"while [ ! -e {GO} ]; do sleep 0.05; done; echo done >> {LOG}; echo TEXT > /etc/e2e-2"


def _file(path: str, text: str, estimate: Estimate = QUICK, broken: bool = False) -> File:
    return File(
        path=path,
        content=f"{text}\n",
        estimate=estimate,
        protect=(HostBackup(files=(path,), estimate=QUICK),),
        verify=[Command(["test", "-e", "/nowhere"])] if broken else [],
    )


def _held(text: str) -> RunCommand:
    return RunCommand(
        argv=("/bin/sh", "-c", SCRIPT.replace("TEXT", text)),
        touches=("/etc/e2e-2",),
        idempotent=True,
        estimate=QUICK,
        protect=(HostBackup(files=("/etc/e2e-2",), estimate=QUICK),),
    )


class Hold(Runbook):
    """Write three files; the second only when a test says so."""

    class Inputs(Runbook.Inputs):
        text: str = "new"
        broken: bool = False

    targets = "web"
    strategy = Waves(canary=1, then=2)
    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield _file("/etc/e2e-1", inputs.text)
        yield _held(inputs.text)
        yield _file("/etc/e2e-3", inputs.text, broken=inputs.broken)


class HoldBriefly(Hold):
    """The same, but a human is asked about what is in doubt for three seconds."""

    doubt_patience: ClassVar[Duration] = 3.0


class HoldInWindow(Hold):
    """The same, with a last step that needs much of the window."""

    def steps(self, inputs: Hold.Inputs) -> Iterator[Step]:
        yield _file("/etc/e2e-1", inputs.text)
        yield _held(inputs.text)
        yield _file("/etc/e2e-3", inputs.text, estimate=Estimate(apply=12, verify=1, undo=20))


class HoldOpaque(Runbook):
    """One command that nobody can look into; its own undo takes it back."""

    class Inputs(Runbook.Inputs):
        pass

    targets = "web"
    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield RunCommand(
            argv=("/bin/sh", "-c", SCRIPT.replace("TEXT", "new")),
            undo_with=("rm", "-f", "/etc/e2e-2"),
            touches=("/etc/e2e-2",),
            estimate=QUICK,
        )


class HoldOpaqueBriefly(HoldOpaque):
    """The same, but a human is asked after three seconds."""

    doubt_patience: ClassVar[Duration] = 3.0
