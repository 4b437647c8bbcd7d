"""The contingency: traffic is moved to the backup path, and back, and both times it is proved."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Literal

from pydantic import Field, JsonValue, model_validator

from remediate.adapters.checks.asking import ask
from remediate.adapters.network.checks import Routes, Traffic, ping
from remediate.adapters.network.config import Edit
from remediate.adapters.network.device import Device, connect
from remediate.adapters.network.state import routes
from remediate.adapters.network.step import ConfigStep
from remediate.adapters.network.store import Store
from remediate.errors import StepFailed
from remediate.model.base import Duration, State
from remediate.model.step import Check, Context, Estimate, Result

#: Seconds between two packets, and so the resolution of an outage.
_PACE = 0.2


class MoveTraffic(ConfigStep):
    """Move the traffic to a prefix from the ``primary`` interface to the ``backup`` interface.

    The OSPF cost of the primary one is raised to ``cost``, or (``how="shutdown"``) it is shut down. Do it on
    the routers at both ends, or the answers go on over the primary path. With ``frm`` and ``to``, a host
    sends packets meanwhile: the loss is measured, and afterwards none may be left.
    """

    kind: ClassVar[str] = "move-traffic"
    filled: ClassVar[tuple[str, ...]] = ("primary", "backup", "prefix", "to")
    default_estimate: ClassVar[Estimate] = Estimate(apply=30.0, verify=30.0, undo=60.0)

    primary: str = Field(min_length=1)
    backup: str = Field(min_length=1)
    prefix: str = Field(min_length=1)
    how: Literal["cost", "shutdown"] = "cost"
    cost: int = Field(default=65535, ge=1, le=65535)
    frm: str | None = None
    to: str | None = None
    settle: Duration = 15.0
    """Seconds that the network may take to find the other path."""

    @model_validator(mode="after")
    def _two_ends(self) -> MoveTraffic:
        if (self.frm is None) != (self.to is None):
            raise ValueError("give frm and to, or neither")
        if self.primary == self.backup:
            raise ValueError("primary and backup are the same interface")
        return self

    def title(self) -> str:
        """One line."""
        means = f"OSPF cost {self.cost}" if self.how == "cost" else "shutdown"
        guard = f", taken back after {self.seconds} s unless confirmed" if self.guarded else ""
        return f"move traffic to {self.prefix} from {self.primary} to {self.backup} ({means}){guard}"

    def may_cut(self) -> bool:
        """Whoever manages the router over the primary path loses it for a moment."""
        return self.cuts_path is not False

    @property
    def waits(self) -> float:
        """Seconds that the checks may take."""
        return super().waits + 2 * self.settle

    def wanted(self, context: Context, device: Device) -> list[Edit]:
        """One line below the primary interface."""
        if device.platform.flat:
            raise StepFailed(
                f"{device.name}: MoveTraffic does not speak {device.platform.name}", "use ConfigLines"
            )
        line = f"ip ospf cost {self.cost}" if self.how == "cost" else "shutdown"
        return [Edit((f"interface {context.target.render(self.primary)}",), line)]

    def checks(self) -> tuple[Check, ...]:
        """The route, then packets, then what the author asks."""
        return (*self._proof_of(self.backup), *super().checks())

    def _proof_of(self, interface: str) -> tuple[Check, ...]:
        route = Routes(self.prefix, interface=interface, within=self.settle, every=0.2)
        if self.frm is None or self.to is None:
            return (route,)
        return (route, Traffic(frm=self.frm, to=self.to, within=self.settle))

    def observe(self, context: Context) -> State:
        """The configuration. A host that nobody knows shows here, before anybody approves."""
        if self.frm is not None and self.frm not in context.peers:
            raise StepFailed(f"{self.frm} is no host of this plan", "name it in the runbook's peers")
        return super().observe(context)

    def apply(self, context: Context) -> Result:
        """Change it while packets are counted, and wait until the route has moved."""
        with ThreadPoolExecutor(1) as pool:
            packets = pool.submit(self._measure, context)
            result = super().apply(context)
            if result.changed:
                self._wait(context)
            measured = packets.result()
        summary = f"{result.summary}{_words(measured)}"
        return result.model_copy(update={"summary": summary, "data": {**result.data, **measured}})

    def _measure(self, context: Context) -> dict[str, JsonValue]:
        """Packets sent and lost from just before the change on; empty if nobody sends any."""
        if self.frm is None or self.to is None:
            return {}
        try:
            host = context.peers[self.frm]
            sent, received = ping(context, host, context.target.render(self.to), int(self.settle / 3 / _PACE))
        except StepFailed:
            # A measurement that failed is no reason to doubt the change; its checks come later.
            return {}
        return {"sent": sent, "lost": sent - received}

    def _wait(self, context: Context) -> None:
        """Until the route has moved, or the time is over: then the checks say so."""
        device, wanted = connect(context), (context.target.render(self.backup),)
        deadline = time.monotonic() + self.settle
        prefix = context.target.render(self.prefix)
        while time.monotonic() < deadline:
            if any(route.interfaces == wanted for route in routes(device, prefix)):
                return
            time.sleep(_PACE)

    def undo(self, context: Context) -> Result:
        """Fail back, with the same proof, while packets are counted again."""
        if Store.of(context).get("before.conf") is None:
            return super().undo(context)
        with ThreadPoolExecutor(1) as pool:
            packets = pool.submit(self._measure, context)
            result = super().undo(context)
            if result.changed:
                self._prove_back(context)
            measured = packets.result()
        if not result.changed:
            return result
        summary = f"{result.summary}; traffic is back on {self.primary}{_words(measured)}"
        return result.model_copy(update={"summary": summary, "data": {**result.data, **measured}})

    def _prove_back(self, context: Context) -> None:
        for check in self._proof_of(self.primary):
            found = ask(check, context)
            if not found.ok:
                raise StepFailed(f"{context.target.name}: failed back, but {found.title}: {found.actual}")


def _words(measured: dict[str, JsonValue]) -> str:
    if not measured:
        return ""
    lost = int(str(measured["lost"]))
    return f"; {lost} of {measured['sent']} packets were lost meanwhile (about {lost * _PACE:.1f} s)"
