"""An Ansible inventory of a lab's hosts, for labs that differ from the one in ``inventories/lab``."""

from __future__ import annotations

import json
from pathlib import Path

from remediate.lab.data import write
from remediate.lab.layout import MAIN, Layout
from remediate.lab.network import address
from remediate.lab.roster import DEFAULT, roster


def write_inventory(folder: Path, total: int = DEFAULT, layout: Layout = MAIN) -> Path:
    """Write ``folder/hosts.yml`` and its group variables for a lab of ``total`` hosts; returns ``folder``.

    Hosts are in groups ``web``, ``lb`` and ``node`` (those beyond the first five).
    """
    groups: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    for host in roster(total):
        group = "node" if host.role == "web" and not host.pooled else host.role
        hosts = groups.setdefault(group, {"hosts": {}})["hosts"]
        hosts[host.name] = {"ansible_host": address(layout, host)}
    everyone = {
        "ansible_user": "ops",
        "ansible_ssh_private_key_file": str(layout.ssh_key),
        "ansible_become": True,
        "ansible_python_interpreter": "/usr/bin/python3",
        "remediate_known_hosts": str(layout.known_hosts),
    }
    # JSON is YAML: so no YAML library is needed here.
    write(folder / "hosts.yml", json.dumps({"all": {"children": groups}}, indent=2) + "\n")
    write(folder / "group_vars/all.yml", json.dumps(everyone, indent=2) + "\n")
    write(folder / "group_vars/web.yml", json.dumps({"lb_host": "lb1", "pool": "web"}, indent=2) + "\n")
    return folder
