"""What the load balancer says about its pool, read from its statistics page."""

from __future__ import annotations

import csv
import http.client
import time
from collections.abc import Iterable
from contextlib import closing

from remediate.lab.command import LabError

STATS_PORT = 8404
BACKEND = "web"


def states(balancer: str, timeout: float = 2, backend: str = BACKEND) -> dict[str, str]:
    """State by server name: ``UP``, ``DOWN``, ``DRAIN``, ``MAINT``, maybe with a fraction while it changes.

    Args:
        balancer: the load balancer's address.
        timeout: seconds.
        backend: which of its pools.
    """
    status, body = _get(balancer, STATS_PORT, "/;csv", timeout)
    if status != 200:
        raise LabError(f"the load balancer at {balancer} answers {status}")
    rows = csv.DictReader(body.removeprefix("# ").splitlines())
    return {
        row["svname"]: row["status"]
        for row in rows
        if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND")
    }


def health(address: str, port: int = 80, timeout: float = 2) -> int:
    """HTTP status of ``/healthz``; 0 when nothing answers."""
    try:
        return _get(address, port, "/healthz", timeout)[0]
    except OSError:
        return 0


def settle(
    balancer: str, servers: dict[str, str], seconds: float = 10, backend: str = BACKEND, port: int = 80
) -> None:
    """Wait until the load balancer has noticed every server that is healthy.

    A server that is sick, or that somebody took out of the pool, is left as it is.

    Args:
        balancer: the load balancer's address.
        servers: address by name.
        seconds: how long to wait at most.
        backend: which of its pools.
        port: where a server of this pool answers.
    """
    healthy = {name for name, address in servers.items() if health(address, port) == 200}
    deadline = time.monotonic() + seconds
    while late := _down(balancer, healthy, backend):
        if time.monotonic() > deadline:
            raise LabError(f"the load balancer does not see that {', '.join(late)} is healthy")
        time.sleep(0.05)


def _down(balancer: str, names: Iterable[str], backend: str) -> list[str]:
    """Those of ``names`` that the load balancer gives no traffic because of its own check.

    A load balancer that doesn't run is a state that somebody may have wanted: there is nothing to wait for.
    """
    try:
        found = states(balancer, backend=backend)
    except OSError:
        return []
    return [name for name in names if found.get(name, "").startswith("DOWN")]


def _get(host: str, port: int, path: str, timeout: float) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(host, port, timeout=timeout)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
