"""The backup of a device: its running configuration, read twice, stored here, and put back."""

from __future__ import annotations

from typing import ClassVar

from remediate.adapters.hosts.client import connect as connect_host
from remediate.adapters.hosts.step import must
from remediate.adapters.hosts.vault import Vault
from remediate.adapters.network.access import maintenance_target
from remediate.adapters.network.config import digest, parse, sections
from remediate.adapters.network.device import SDKS, Device, connect, fresh
from remediate.adapters.network.keys import CONFIG
from remediate.adapters.network.platforms import FRR
from remediate.adapters.network.timer import RELOAD
from remediate.errors import StepFailed
from remediate.model.base import State
from remediate.model.step import (
    CheckResult,
    Context,
    Estimate,
    Level,
    Probe,
    Result,
    Role,
    Step,
    StepClass,
    Verdict,
)


class DeviceConfig(Step):
    """Keep a device's running configuration as it is now, so that it can be put back exactly."""

    kind: ClassVar[str] = "device-config"
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    role: ClassVar[Role] = Role.BACKUP
    level: ClassVar[Level | None] = Level.COMPARED
    default_estimate: ClassVar[Estimate] = Estimate(apply=10.0, verify=5.0, undo=60.0)
    sdks: ClassVar[tuple[str, ...]] = SDKS

    def title(self) -> str:
        """One line."""
        return "back up the running configuration"

    def observe(self, context: Context) -> State:
        """The running configuration by sections, without volatile lines and secrets."""
        device = connect(context)
        return {CONFIG: {**sections(device.running().tree, device.platform)}}

    def apply(self, context: Context) -> Result:
        """Read it twice, over two sessions, and keep it if both are equal."""
        vault = Vault.of(context.workspace, context.target.name)
        vault.begin()
        text = connect(context).running().text
        with fresh(context) as anew:
            if connect(anew).running().text != text:
                raise StepFailed(
                    f"{context.target.name}: the configuration changed while it was read",
                    "find out who changes it, or choose another time",
                )
        vault.put(text.encode())
        seal = vault.seal({"target": context.target.name, "config": digest(text)})
        size = len(text.encode())
        return Result(
            changed=False,
            summary=f"kept {size} bytes; two reads over two sessions were equal",
            data={"manifest": seal, "bytes": size},
        )

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """The stored bytes have the hash that was noted."""
        text = self._kept(context)
        actual = f"{len(text.encode())} bytes, SHA-256 {digest(text)}"
        return (
            CheckResult(title="the backup is whole", ok=True, expected="its hash is right", actual=actual),
        )

    def _kept(self, context: Context) -> str:
        vault = Vault.of(context.workspace, context.target.name)
        manifest = vault.open(str(context.data.get("manifest", "")) or vault.digest())
        return vault.get(str(manifest["config"])).decode()

    def probe(self, context: Context) -> Probe:
        """A backup is there when it was sealed, and noted."""
        vault = Vault.of(context.workspace, context.target.name)
        noted = vault.sealed() and context.data.get("manifest") == vault.digest()
        verdict = Verdict.APPLIED if noted else Verdict.NOT_APPLIED
        return Probe(
            verdict=verdict, evidence=f"{vault.folder} holds {'the' if noted else 'no'} noted backup"
        )

    def undo(self, context: Context) -> Result:
        """Put back what differs, and read it again. Steps have gone back line by line before."""
        if not context.data.get("manifest"):
            return Result(changed=False, summary="no backup was completed, so no change was made after it")
        kept = self._kept(context)
        device = connect(context)
        now = device.running()
        if now.text == kept:
            return Result(changed=False, summary="the configuration was as kept")
        how = _replace(context, device, kept)
        with fresh(context) as anew:
            left = connect(anew).running().text
        if left != kept:
            raise StepFailed(
                f"{device.name}: after the restore the configuration still differs",
                f"compare it with the backup in {Vault.of(context.workspace, context.target.name).folder}",
            )
        if device.platform.save:
            device.save()
        return Result(summary=f"the kept configuration was put back {how}")

    def release(self, context: Context) -> Result:
        """Delete the copy."""
        there = Vault.of(context.workspace, context.target.name).discard()
        return Result(changed=there, summary="the copy is deleted" if there else "nothing was kept")


def _replace(context: Context, device: Device, kept: str) -> str:
    """Make the running configuration equal to the kept one, by the platform's own means where it has any."""
    host = maintenance_target(context.target) if device.platform is FRR else None
    if host is None:
        device.go_back(
            device.running().tree, parse(kept, device.platform), str(context.token).replace(".", "-")
        )
        return "line by line"
    client = connect_host(context, host)
    path = f"/var/tmp/{str(context.token).replace('.', '-')}.conf"  # noqa: S108 - replaced by a rename, and 0600
    client.write(path, kept.encode(), stage=str(context.token), mode="0600")
    try:
        must(client, client.run(["sudo", "-n", RELOAD, "--reload", path], str(context.token), again=True))
    finally:
        client.remove(path)
    return f"by {RELOAD}"
