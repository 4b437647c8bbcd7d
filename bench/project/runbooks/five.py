"""The same five tasks as a playbook, and five like them as typed host steps."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.authoring import File, Playbook, Risk, Runbook, RunCommand, Service, Step, Watch, Waves


class FivePlays(Runbook):
    """Change five things on every host by a playbook."""

    class Inputs(Runbook.Inputs):
        value: str

    targets = "all"
    strategy = Waves(canary=0, then="100%")
    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield Playbook(
            "playbooks/five.yml",
            vars=inputs.model_dump(),
            watch=Watch(
                files=("/etc/bench-app.conf", "/etc/bench-limits.conf", "/etc/bench-release"),
                services=("cron",),
            ),
            # Else a second run, in check mode, proves the first: separate work, and no cost of the engine.
            idempotent=False,
        )


class FiveSteps(Runbook):
    """Change five things on every host by typed steps."""

    class Inputs(Runbook.Inputs):
        value: str

    targets = "all"
    strategy = Waves(canary=0, then="100%")
    risk = Risk(outage="cron restarts", data_loss="none")

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        folder = f"/srv/bench-{inputs.value}"
        limits = "".join(f"limit{n} = {inputs.value}\n" for n in range(200))
        yield File(path="/etc/bench-app.conf", content=f"value = {inputs.value}\n", mode="0644")
        yield File(path="/etc/bench-limits.conf", content=limits, mode="0640")
        yield File(path="/etc/bench-release", content=f"release={inputs.value}\n", mode="0644")
        yield RunCommand(
            argv=("install", "-d", "-m", "0750", folder), creates=folder, undo_with=("rmdir", folder)
        )
        yield Service(name="cron", state="restarted")
