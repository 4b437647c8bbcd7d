"""Three lines on each of many routers: backed up, changed, verified and saved, beside a script with nornir.

* ``run``: `remediate run`, the whole command: preflight, drift, a backup read twice over two sessions,
  the change, a verification in a new session, saving, a read-back in another, journal, ticket.
* ``nornir``: a plain script with nornir and netmiko that opens as many sessions and makes as many reads and
  writes, and keeps no record of them.

Run as root: ``python -m bench.devices [routers] [rounds]``
"""

from __future__ import annotations

import statistics
import sys

from bench import nornir_peer
from bench.measure import Verdicts, interleaved, machine, medians
from bench.second_lab import lab
from bench.workplace import workplace
from remediate.lab.inventory import write_inventory
from remediate.lab.network import address
from remediate.lab.roster import roster

#: lb1 and web1: the smallest lab that there is.
HOSTS = 2


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
        devices = [h for h in roster(HOSTS, routers) if h.role == "frr"]
        addresses = [address(running.layout, device) for device in devices]

        def run() -> float:
            plan, took = place.approved("device-lines")
            plans.append(took)
            return place.remediate("run", plan)

        nornir_peer.run(place, addresses)  # from now on everything is in the page cache
        figures = interleaved(rounds, {"run": run, "nornir": lambda: nornir_peer.run(place, addresses)})
        print(f"{machine()}; {len(addresses)} routers, three lines")
    found = medians(figures)
    print(f"plan: median {statistics.median(plans):.3f} s")
    verdicts = Verdicts()
    verdicts.at_most("remediate run / nornir", found["run"] / found["nornir"], 1.0)
    verdicts.end()


if __name__ == "__main__":
    main()
