"""Questions about a network: neighbours, routes, interfaces, and whether packets arrive."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.hosts.client import connect as connect_host
from remediate.adapters.network.device import connect
from remediate.adapters.network.state import Protocol, interfaces, neighbors, routes
from remediate.errors import StepFailed
from remediate.model.base import Duration
from remediate.model.clip import clip
from remediate.model.step import Context
from remediate.model.target import Target

_LOSS = re.compile(r"(\d+) packets transmitted, (\d+) (?:packets )?received")
_SUCCESS = re.compile(r"Success rate is \d+ percent \((\d+)/(\d+)\)")


class Neighbors(Question):
    """Routing neighbours are up: at least ``count``, or exactly those with these addresses (``are``)."""

    kind: ClassVar[str] = "neighbors"
    filled: ClassVar[tuple[str, ...]] = ("are",)

    protocol: Protocol = "ospf"
    count: int = Field(default=1, ge=0)
    are: tuple[str, ...] = ()

    def __init__(self, protocol: Protocol = "ospf", **fields: Any) -> None:
        super().__init__(**{"protocol": protocol, **fields})

    def subject(self, target: Target) -> str:  # noqa: ARG002
        """The protocol."""
        return f"{self.protocol.upper()} neighbours that are up"

    def expected(self, target: Target) -> str:
        """Which, or how many."""
        return ", ".join(map(target.render, self.are)) or f"at least {self.count}"

    def look(self, context: Context) -> Finding:
        """Ask the device."""
        found = neighbors(connect(context), self.protocol)
        up = sorted(n.address for n in found if n.up)
        wanted = sorted(map(context.target.render, self.are))
        ok = up == wanted if wanted else len(up) >= self.count
        down = [f"{n.address} is {n.state}" for n in found if not n.up]
        return Finding(ok, ", ".join([f"up: {' '.join(up) or 'none'}", *down]))


class Routes(Question):
    """Packets to ``prefix`` go ``via`` this next hop, or out of this ``interface``."""

    kind: ClassVar[str] = "routes"
    filled: ClassVar[tuple[str, ...]] = ("prefix", "via", "interface")

    prefix: str = Field(min_length=1)
    via: str | None = None
    interface: str | None = None

    def __init__(self, prefix: str = "", **fields: Any) -> None:
        super().__init__(**{"prefix": prefix, **fields})

    def subject(self, target: Target) -> str:
        """The prefix."""
        return f"route to {target.render(self.prefix)}"

    def expected(self, target: Target) -> str:
        """The way."""
        words = [f"via {target.render(self.via)}"] if self.via else []
        words += [f"out of {target.render(self.interface)}"] if self.interface else []
        return ", ".join(words) or "there is one"

    def look(self, context: Context) -> Finding:
        """Ask the device."""
        target = context.target
        found = routes(connect(context), target.render(self.prefix))
        ok = bool(found)
        for route in found:
            ok = ok and (self.via is None or route.via == (target.render(self.via),))
            ok = ok and (self.interface is None or route.interfaces == (target.render(self.interface),))
        shown = [f"via {' and '.join(r.via) or 'none'} out of {' and '.join(r.interfaces)}" for r in found]
        return Finding(ok, "; ".join(shown) or "no route")


class Interfaces(Question):
    """These interfaces are up, or (``up=False``) down."""

    kind: ClassVar[str] = "interfaces"

    names: tuple[str, ...] = Field(min_length=1)
    up: bool = True

    def __init__(self, names: Sequence[str] = (), **fields: Any) -> None:
        super().__init__(**{"names": names, **fields})

    def subject(self, target: Target) -> str:  # noqa: ARG002
        """The interfaces."""
        return f"interface{'s' * (len(self.names) > 1)} {', '.join(self.names)}"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """Up or down."""
        return "up" if self.up else "down"

    def look(self, context: Context) -> Finding:
        """Ask the device."""
        found = {i.name: i for i in interfaces(connect(context))}
        words = {n: "absent" if n not in found else "up" if found[n].up else "down" for n in self.names}
        ok = all(word == ("up" if self.up else "down") for word in words.values())
        return Finding(ok, ", ".join(f"{name} is {word}" for name, word in words.items()))


class Ping(Question):
    """The device itself reaches an address. FRR's command line can't be stopped: there, its host pings."""

    kind: ClassVar[str] = "ping"
    filled: ClassVar[tuple[str, ...]] = ("to",)

    to: str = Field(min_length=1)
    loss: float = Field(default=0.0, ge=0.0, le=100.0)
    """Per cent of the packets that may get lost."""
    count: int = Field(default=5, ge=1, le=100)

    def __init__(self, to: str = "", **fields: Any) -> None:
        super().__init__(**{"to": to, **fields})

    def subject(self, target: Target) -> str:
        """Where to."""
        return f"ping to {target.render(self.to)}"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """The loss."""
        return f"at most {self.loss:g} % lost"

    def look(self, context: Context) -> Finding:
        """Ping."""
        from remediate.adapters.network.access import maintenance_target

        to, device = context.target.render(self.to), connect(context)
        host = maintenance_target(context.target)
        if host is not None:
            return _judged(ping(context, host, to, self.count), self.loss)
        answer = device.read(f"ping {to}", 5.0 + 2 * self.count)
        return _judged(lost(answer), self.loss)


class Traffic(Question):
    """Packets from one host of the inventory reach an address."""

    kind: ClassVar[str] = "traffic"
    filled: ClassVar[tuple[str, ...]] = ("to",)

    frm: str = Field(min_length=1)
    to: str = Field(min_length=1)
    loss: float = Field(default=0.0, ge=0.0, le=100.0)
    """Per cent of the packets that may get lost."""
    count: int = Field(default=5, ge=1, le=100)
    timeout: Duration = 30.0

    def subject(self, target: Target) -> str:
        """From where to where."""
        return f"traffic from {self.frm} to {target.render(self.to)}"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """The loss."""
        return f"at most {self.loss:g} % lost"

    def look(self, context: Context) -> Finding:
        """Ping from there."""
        host = context.peers.get(self.frm)
        if host is None:
            raise StepFailed(f"{self.frm} is no host of this plan", "name it in the runbook's peers")
        return _judged(ping(context, host, context.target.render(self.to), self.count), self.loss)


def ping(context: Context, host: Target, to: str, count: int) -> tuple[int, int]:
    """Packets sent and received by a host."""
    # A fifth of a second is the shortest pause that ping allows everybody.
    argv = ["ping", "-n", "-q", "-i", "0.2", "-W", "1", "-c", str(count), "--", to]
    outcome = connect_host(context, host).query(argv, 5.0 + 2 * count)
    return lost(outcome.said)


def lost(said: str) -> tuple[int, int]:
    """Packets sent and received, out of what a ping says.

    Raises:
        StepFailed: it says neither.
    """
    if match := _LOSS.search(said):
        return int(match[1]), int(match[2])
    if match := _SUCCESS.search(said):
        return int(match[2]), int(match[1])
    raise StepFailed(f"ping says nothing of packets: {clip(' '.join(said.split()), 200)}")


def _judged(packets: tuple[int, int], allowed: float) -> Finding:
    sent, received = packets
    loss = 100.0 * (sent - received) / sent if sent else 100.0
    return Finding(loss <= allowed, f"{received} of {sent} packets arrived, {loss:.0f} % lost")
