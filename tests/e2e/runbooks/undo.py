"""Runbooks whose undo is wrong, and one that nothing can undo."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.authoring import Command, File, Risk, RiskLevel, Runbook, RunCommand, Step, Waves


class BadUndo(Runbook):
    """A command whose undo says that it worked; then a step that fails."""

    class Inputs(Runbook.Inputs):
        undo: str = "true"

    targets = "web"
    strategy = Waves(canary=0, then=4)
    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield RunCommand(
            argv=("/bin/sh", "-c", "echo new > /etc/e2e-1; echo new > /etc/e2e-2"),
            touches=("/etc/e2e-1", "/etc/e2e-2"),
            undo_with=("/bin/sh", "-c", inputs.undo),
        )
        yield File(path="/etc/e2e-3", content="new\n", verify=[Command(["false"])])


class Irreversible(Runbook):
    """A command that nothing can take back."""

    class Inputs(Runbook.Inputs):
        fail: bool = False

    targets = "web"
    strategy = Waves(canary=0, then=4)
    risk = Risk(level=RiskLevel.LOW, outage="none", data_loss="none")

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield File(path="/etc/e2e-1", content="new\n")
        yield RunCommand(argv=("rm", "-f", "/var/log/e2e-old"), irreversible="the old log is gone")
        if inputs.fail:
            yield File(path="/etc/e2e-3", content="new\n", verify=[Command(["false"])])
