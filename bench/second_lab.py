"""A lab of its own, there only while something is measured, so that the main lab's hosts stay as they are."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import ended_in_order
from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
from remediate.lab.locks import locked

#: Fixed, so that the next measurement finds and removes what a killed one has left.
LAYOUT = Layout(Path("/var/lib/remediate-lab-bench"), "rmbench", "10.213.95")


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def lab(total: int, routers: int = 0) -> Iterator[Hosts]:
    """So many running hosts and routers, as built. They are taken down whatever happens to the block."""
    if os.geteuid() != 0:
        raise SystemExit("the lab's hosts need root: run this with sudo")
    hosts = Hosts(LAYOUT, total, routers)
    with locked(Path("/run/remediate-lab-bench.lock"), say), ended_in_order():
        hosts.down()
        try:
            hosts.up(say)
            yield hosts
        finally:
            _take_down(hosts)


def _take_down(hosts: Hosts) -> None:
    """Nothing may interrupt it half-way."""
    kept = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        say("taking the hosts down")
        hosts.down()
        shutil.rmtree(LAYOUT.home, ignore_errors=True)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
