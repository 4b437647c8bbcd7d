"""An Ansible inventory of a lab's hosts, for labs that differ from the one in ``inventories/lab``."""

from __future__ import annotations

import json
from pathlib import Path

from remediate.lab import databases as database_host
from remediate.lab.data import write
from remediate.lab.layout import MAIN, Layout
from remediate.lab.network import address
from remediate.lab.roster import DEFAULT, SITES, Host, roster
from remediate.lab.router_net import cables, loopback
from remediate.lab.vcenter import VCenter, instance_uuid

#: Routers are worked on through their own command line; ``netops`` is who has a shell there. To reach one by
#: its loopback, over the network that it routes itself, set its ``ansible_host`` to ``{{ inband_host }}``.
ROUTERS = {
    "ansible_user": "admin",
    "ansible_become": False,
    "ansible_network_os": "frr",
    "network_platform": "frr",
    "network_maintenance_user": "netops",
}


def write_inventory(
    folder: Path, total: int = DEFAULT, layout: Layout = MAIN, routers: int = 0, *, databases: bool = False
) -> Path:
    """Write ``folder/hosts.yml`` and its group variables for a lab of ``total`` hosts; returns ``folder``.

    Hosts are in groups ``web``, ``lb`` and ``node`` (those beyond the first five). With ``routers``, these
    are in ``routers``, those of the two sites also in ``edge``, and who sits behind them in ``desk``. With
    ``databases``, db1 is in ``db``. Each says which virtual machine it is, and all of them where their
    vCenter is.
    """
    groups: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    for host in roster(total, routers, databases=databases):
        group = "node" if host.role == "web" and not host.pooled else "routers" if host.routes else host.role
        hosts = groups.setdefault(group, {"hosts": {}})["hosts"]
        hosts[host.name] = {
            "ansible_host": address(layout, host),
            "vm_instance_uuid": instance_uuid(layout, host.name),
            **_own(layout, host, routers),
        }
    if routers:
        groups["edge"] = {"hosts": {name: {} for name in groups["routers"]["hosts"] if name in SITES}}
    everyone = {
        "ansible_user": "ops",
        "ansible_ssh_private_key_file": str(layout.ssh_key),
        "ansible_become": True,
        "ansible_python_interpreter": "/usr/bin/python3",
        "remediate_known_hosts": str(layout.known_hosts),
        **VCenter(layout).variables(),
    }
    # JSON is YAML: so no YAML library is needed here.
    write(folder / "hosts.yml", json.dumps({"all": {"children": groups}}, indent=2) + "\n")
    write(folder / "group_vars/all.yml", json.dumps(everyone, indent=2) + "\n")
    write(folder / "group_vars/web.yml", json.dumps({"lb_host": "lb1", "pool": "web"}, indent=2) + "\n")
    if databases:
        variables = database_host.variables(layout)
        write(folder / "group_vars/db.yml", json.dumps(variables, indent=2) + "\n")
    if routers:
        write(folder / "group_vars/routers.yml", json.dumps(ROUTERS, indent=2) + "\n")
    return folder


def _own(layout: Layout, host: Host, routers: int) -> dict[str, str]:
    """A host's own variables, besides its address."""
    if host.role == "bird":
        return {
            "inband_host": loopback(layout, host),
            "network_platform": "bird",
            "ansible_user": "netops",
            "ansible_network_os": "bird",
        }
    if host.role == "frr":
        return {"inband_host": loopback(layout, host)}
    own = cables(layout, host)
    return {"site_address": own[0].address.partition("/")[0]} if own and routers else {}
