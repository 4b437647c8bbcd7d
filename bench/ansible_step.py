"""What an Ansible step costs beside the same `ansible-playbook`, and what the shipped ansible.cfg gains.

Five tasks on every host. Three subjects, each with cold SSH connections of its own:

* ``step``: the step in `remediate run`, from the moment at which the one before it was verified until its own
  outcome is durable for every host: reads of the state before and after, intents, events and journal
  included. The verification by a second run in check mode is separate work and is left out.
* ``shipped``: ``ansible-playbook``, same playbook, inventory and ansible.cfg.
* ``defaults``: ``ansible-playbook`` with Ansible's own settings; host keys are checked as well.

Run as root: ``python -m bench.ansible_step [hosts] [rounds]``
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.measure import Verdicts, command, interleaved, machine, medians
from bench.second_lab import lab
from bench.workplace import Workplace, workplace

OVERHEAD = 1.1
GAIN = {10: 1.3, 50: 1.7}


def step(place: Workplace) -> float:
    """Seconds of the playbook step in one run."""
    plan, _ = place.approved("five-plays")
    place.remediate("run", plan)
    verified = [(at, str(body["step"])) for kind, at, body in place.events() if kind == "verified"]
    last = verified[-1][1]
    began = max(at for at, name in verified if name != last)
    return max(at for at, name in verified if name == last) - began


def bare(place: Workplace, config: Path) -> float:
    """Seconds of ``ansible-playbook`` with these settings."""
    keys = f"-o UserKnownHostsFile={place.hosts.layout.known_hosts} -o GlobalKnownHostsFile=/dev/null"
    # Short, because the path of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="cp-") as sockets:
        return command(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                "-i", place.root / "inventory",
                "--ssh-common-args", keys,
                "-e", f"value={place.value()}",
                place.root / "playbooks/five.yml",
            ],
            place.log,
            ANSIBLE_CONFIG=str(config),
            ANSIBLE_SSH_CONTROL_PATH_DIR=sockets,
        )  # fmt: skip


def main() -> None:
    """Print the figures."""
    hosts = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with lab(hosts) as running, workplace(running) as place:
        bare(place, place.root / "ansible.cfg")  # from now on everything is in the page cache
        figures = interleaved(
            rounds,
            {
                "step": lambda: step(place),
                "shipped": lambda: bare(place, place.root / "ansible.cfg"),
                "defaults": lambda: bare(place, place.root / "defaults.cfg"),
            },
        )
        print(f"{machine()}; {hosts} hosts, five tasks")
    found = medians(figures)
    verdicts = Verdicts()
    verdicts.at_most("step / ansible-playbook", found["step"] / found["shipped"], OVERHEAD)
    least = GAIN[10] if hosts < 30 else GAIN[50]
    verdicts.at_least("Ansible's defaults / shipped ansible.cfg", found["defaults"] / found["shipped"], least)
    verdicts.end()


if __name__ == "__main__":
    main()
