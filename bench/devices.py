"""Three lines on each of many routers: backed up, changed, verified and saved, beside a script with nornir.

* ``run``: `remediate run`, the whole command: preflight, drift, a backup read twice over two sessions,
  the change, a verification in a new session, saving, a read-back in another, journal, ticket.
* ``nornir``: a plain script with nornir and netmiko that opens as many sessions and makes as many reads and
  writes, and keeps no record of them.

Run as root: ``python -m bench.devices [routers] [rounds]``
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

from bench import nornir_peer
from bench.measure import Verdicts, interleaved, machine, medians
from bench.second_lab import lab
from bench.workplace import workplace
from remediate.lab.inventory import write_inventory
from remediate.lab.network import address
from remediate.lab.roster import roster

#: lb1 and web1: the smallest lab that there is.
HOSTS = 2


#: Devices at a time, on both sides: what nornir does unless told otherwise.
PARALLEL = 20
#: Share of the processors that is idle on a machine whose hosts have booted.
IDLE = 0.8


def _calm() -> None:
    """Wait for the hosts, which answer before all of their boot is over; two minutes at most."""
    for _ in range(120):
        idle = _idle_seconds()
        time.sleep(1)
        if _idle_seconds() - idle >= IDLE * (os.cpu_count() or 1):
            return
    print("the machine is still busy", file=sys.stderr)


def _idle_seconds() -> float:
    """Of all processors since the boot (proc(5), /proc/stat)."""
    words = Path("/proc/stat").read_text().split(maxsplit=6)
    return int(words[4]) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the figures."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    nornir_peer.python()
    # The fifth router runs BIRD, which has another command line.
    routers = wanted + (wanted > 4)
    plans: list[float] = []
    with lab(HOSTS, routers) as running, workplace(running) as place:
        write_inventory(place.root / "inventory", HOSTS, running.layout, routers)
        settings = place.root / "remediate.toml"
        settings.write_text(settings.read_text().replace("parallel = 64", f"parallel = {PARALLEL}"))
        devices = [h for h in roster(HOSTS, routers) if h.role == "frr"]
        addresses = [address(running.layout, device) for device in devices]

        def run() -> float:
            plan, took = place.approved("device-lines")
            plans.append(took)
            return place.remediate("run", plan)

        def peer() -> float:
            try:
                return nornir_peer.run(place, addresses)
            except SystemExit:
                # netmiko misses its prompt now and then when devices are slow; only a whole round counts.
                print("the script with nornir failed; once more", file=sys.stderr)
                return nornir_peer.run(place, addresses)

        _calm()
        peer()  # from now on everything is in the page cache
        figures = interleaved(rounds, {"run": run, "nornir": peer})
        print(f"{machine()}; {len(addresses)} routers, three lines")
    found = medians(figures)
    print(f"plan: median {statistics.median(plans):.3f} s")
    verdicts = Verdicts()
    verdicts.at_most("remediate run / nornir", found["run"] / found["nornir"], 1.0)
    verdicts.end()


if __name__ == "__main__":
    main()
