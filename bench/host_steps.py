"""Five changes on every host: typed steps with backup and verification, beside pyinfra, which has neither.

* ``run``: `remediate run`, the whole command: preflight, connections, drift, backups, changes, verifications,
  a read-back over fresh sessions, journal, ticket. Planning and approving came before; planning is printed.
* ``pyinfra``: the same five changes, the whole command.
* ``floor``: five commands per host in a thread pool over paramiko, without looking at anything.

Run as root: ``python -m bench.host_steps [hosts] [rounds]``
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from bench import pyinfra_peer
from bench.measure import Verdicts, command, interleaved, machine, medians
from bench.second_lab import lab
from bench.workplace import REPO, Workplace, workplace
from remediate.lab.network import address
from remediate.lab.roster import roster


def floor(place: Workplace) -> float:
    """Seconds of the plain thread pool."""
    layout = place.hosts.layout
    addresses = [address(layout, host) for host in roster(place.hosts.total)]
    script = REPO / "bench" / "peers" / "paramiko_threads.py"
    words: list[str | Path] = [script, layout.ssh_key, layout.known_hosts, place.value(), *addresses]
    return command([sys.executable, *words], place.log)


def main() -> None:
    """Print the figures."""
    hosts = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    pyinfra_peer.program()
    plans: list[float] = []
    with lab(hosts) as running, workplace(running) as place:
        inventory = pyinfra_peer.write_inventory(place)

        def run() -> float:
            plan, took = place.approved("five-steps")
            plans.append(took)
            return place.remediate("run", plan)

        floor(place), pyinfra_peer.run(place, inventory)  # from now on everything is in the page cache
        figures = interleaved(
            rounds,
            {
                "run": run,
                "pyinfra": lambda: pyinfra_peer.run(place, inventory),
                "floor": lambda: floor(place),
            },
        )
        print(f"{machine()}; {hosts} hosts, five changes")
    found = medians(figures)
    print(f"plan: median {statistics.median(plans):.3f} s")
    verdicts = Verdicts()
    verdicts.at_most("remediate run / pyinfra", found["run"] / found["pyinfra"], 1.0)
    verdicts.end()


if __name__ == "__main__":
    main()
