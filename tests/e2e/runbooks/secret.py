"""A step that gets a secret and does its worst to betray it."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.authoring import Playbook, Risk, Runbook, Step, Watch


class UseSecret(Runbook):
    """Use a secret, and maybe fail with it."""

    class Inputs(Runbook.Inputs):
        fail: bool = False

    targets = "web"
    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield Playbook(
            "playbooks/secret.yml",
            vars={"fail": inputs.fail},
            secrets={"token": "env:E2E_TOKEN"},
            watch=Watch(files=["/etc/e2e-secret"]),
        )
