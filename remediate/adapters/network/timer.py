"""The dead-man's switch: a timer on the device that takes a change back unless a new session stops it.

Where a platform has one of its own, that is used. Where it has none but a shell (FRR), systemd on the device
stands in: it reloads the configuration that was saved there before the change. A reboot ends either timer,
and takes everything back that was not saved.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Protocol

from remediate.adapters.hosts.client import HostClient
from remediate.adapters.hosts.client import connect as connect_host
from remediate.adapters.hosts.step import must
from remediate.adapters.network.access import maintenance_target
from remediate.adapters.network.device import Device
from remediate.adapters.network.platforms import Revert, filled
from remediate.errors import InputError
from remediate.model.step import Context, Token
from remediate.model.target import Target

RELOAD = "/usr/lib/frr/frr-reload.py"


_ASK_SECONDS = 5.0


class TimerState(Enum):
    """What is known of a timer; the values end the sentence "the device's timer …"."""

    ARMED = "is still armed"
    FIRING = "is taking the change back at this moment"
    FIRED = "ran out and took the change back"
    FAILED = "ran out, and failed to take the change back"
    GONE = "is not there (never armed, stopped, or ended by a reboot)"


class Timer(Protocol):
    """One attempt's timer on one device."""

    label: str
    native: bool
    """Whether it comes with the change itself, so that there is nothing to arm before."""

    def arm(self, config: str, seconds: int) -> None:
        """Have the device go back to ``config`` after so many seconds; returns once that is durable there."""

    def state(self) -> TimerState:
        """Read it."""

    def stop(self) -> TimerState:
        """Let the change stay; returns what was found afterwards: GONE, unless it was too late."""

    def forget(self) -> None:
        """Remove what is left of it on the device."""


def timer_name(token: Token) -> str:
    """One spelling for apply, probe and undo. Such a step is never attempted twice."""
    step = token.step.removesuffix("-undo")
    return f"remediate-{token.run}-{step}-1".replace(".", "-")


def timer_for(context: Context, device: Device) -> Timer:
    """The timer of this context's attempt.

    Raises:
        InputError: the device has none, and nothing to make one of.
    """
    revert, name = device.platform.revert, timer_name(context.token)
    if revert is not None and revert.status:
        return NativeTimer(device, revert, name)
    host = maintenance_target(context.target)
    if revert is not None and host is not None:
        return SystemdTimer(context, host, revert.label, name)
    if revert is not None:
        lacks, advice = (
            "needs a user with a shell there",
            "set network_maintenance_user in the inventory, or ",
        )
    else:
        lacks, advice = f"is unknown on {device.platform.name}", ""
    raise InputError(
        f"{device.name}: a timer that takes the change back by itself {lacks}",
        advice + 'say cuts_path=False if the change can\'t cut the way to the device, or revert="none"',
    )


class NativeTimer:
    """The platform's own."""

    native = True

    def __init__(self, device: Device, revert: Revert, name: str) -> None:
        self.label = revert.label
        self._device, self._revert, self._name = device, revert, name

    def arm(self, config: str, seconds: int) -> None:
        """See `Timer`: the commit itself arms it."""

    def state(self) -> TimerState:
        """See `Timer`. Whether it fired or was confirmed, only the configuration tells."""
        said = self._device.read(self._revert.status)
        return TimerState.ARMED if re.search(self._revert.armed, said) else TimerState.GONE

    def stop(self) -> TimerState:
        """See `Timer`."""
        if self.state() is TimerState.ARMED:
            self._device.do(filled(self._revert.keep, self._name))
        return self.state()

    def forget(self) -> None:
        """See `Timer`: the device keeps nothing."""


class SystemdTimer:
    """An emulated one: a transient unit of systemd, started by the maintenance user."""

    native = False

    def __init__(self, context: Context, host: Target, label: str, name: str) -> None:
        self.label = label
        self._context, self._host, self._name = context, host, name

    @property
    def _client(self) -> HostClient:
        return connect_host(self._context, self._host)

    @property
    def _file(self) -> str:
        return f"/var/tmp/{self._name}.conf"  # noqa: S108 - replaced by a rename, and 0600

    def arm(self, config: str, seconds: int) -> None:
        """See `Timer`."""
        self._client.write(self._file, config.encode(), stage=str(self._context.token), mode="0600")
        when = [f"--on-active={seconds}", "--timer-property=AccuracySec=100ms"]
        # So systemd remembers that it fired, and how that ended.
        service = ["--property=Type=oneshot", "--property=RemainAfterExit=yes"]
        words = ["systemd-run", "--quiet", f"--unit={self._name}", *when, *service]
        self._run("arm", [*words, RELOAD, "--reload", self._file])

    def state(self) -> TimerState:
        """See `Timer`."""
        timer, service = self._unit("timer"), self._unit("service")
        match service.get("ActiveState"), service.get("SubState"):
            case "active", "exited":
                return TimerState.FIRED
            case "active" | "activating", _:
                return TimerState.FIRING
            case "failed", _:
                return TimerState.FAILED
            case _:
                return TimerState.ARMED if timer.get("ActiveState") == "active" else TimerState.GONE

    def stop(self) -> TimerState:
        """See `Timer`."""
        if self.state() is TimerState.ARMED:
            self._run("stop", ["systemctl", "stop", f"{self._name}.timer"])
        return self.state()

    def forget(self) -> None:
        """See `Timer`."""
        verbs = {TimerState.FIRED: "stop", TimerState.FAILED: "reset-failed"}
        if verb := verbs.get(self.state()):
            self._run("forget", ["systemctl", verb, f"{self._name}.service"])
        self._client.remove(self._file)

    def _unit(self, kind: str) -> dict[str, str]:
        client = self._client
        show = ["systemctl", "show", "--property=ActiveState,SubState", f"{self._name}.{kind}"]
        said = must(client, client.query(show, min(_ASK_SECONDS, self._context.timeout))).stdout
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def _run(self, what: str, words: list[str]) -> None:
        client, token = self._client, str(self._context.token)
        name = f"{self._name}.{what}"
        outcome = client.run(["sudo", "-n", *words], token, name=name, seconds=20.0, again=True)
        tools = f"{RELOAD}, systemd-run and systemctl"
        must(client, outcome, f"let {self._host.user} use sudo without a password for {tools}")
        client.forget(token)
