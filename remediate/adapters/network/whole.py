"""A whole device: its running configuration, line by line, and its routes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from remediate.adapters.network.config import masked
from remediate.adapters.network.device import connect
from remediate.adapters.network.state import as_data
from remediate.adapters.whole import Looking, WholeReader
from remediate.model.base import State, canonical, sha256
from remediate.model.step import Context, Step

_ROUTES = {"junos": "show route"}


class WholeDevice(WholeReader):
    """What has a command line of its own."""

    kind: ClassVar[str] = "device"

    def applies(self, context: Context, steps: Sequence[Step]) -> bool:  # noqa: ARG002
        """The inventory says it."""
        return "network_platform" in context.target.vars

    def read(self, context: Context, steps: Sequence[Step], looking: Looking) -> State:  # noqa: ARG002
        """Lines as the device prints them, below their parents; secrets hidden."""
        device = connect(context)
        text = masked(device.running().text, device.platform)
        found: State = {f"config:{line}": "there" for line in _lines(text)}
        command = _ROUTES.get(device.platform.name, "show ip route")
        return found | {f"route:{name}": {"via": via} for name, via in _routes(as_data(device, command))}


def _lines(text: str) -> Iterator[str]:
    """Each line with those above it that are less indented: ``interface eth1 / ip ospf cost 100``."""
    above: list[tuple[int, str]] = []
    for raw in text.splitlines():
        line, depth = raw.strip(), len(raw) - len(raw.lstrip())
        if line and line != "!":
            above = [*((d, a) for d, a in above if d < depth), (depth, line)]
            yield " / ".join(a for _, a in above)


def _routes(data: Any) -> Iterator[tuple[str, str]]:
    """Each prefix with a digest of all that is known of its ways."""
    if isinstance(data, dict):
        for prefix, ways in data.items():
            yield str(prefix), sha256(canonical(ways))[:16]
        return
    for row in data:
        shown = "/".join(str(row[k]) for k in ("network", "prefix_length") if k in row)
        yield shown or "?", sha256(canonical(row))[:16]
