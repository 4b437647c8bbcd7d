"""What may be broken on purpose: hosts of the lab on this machine, and what its owners call disposable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from remediate.adapters.hosts.access import access
from remediate.errors import InputError, Refused
from remediate.lab.hosts import Hosts
from remediate.lab.network import address
from remediate.lab.roster import by_name
from remediate.lab.router_net import loopback
from remediate.lab.vcenter import VCenter
from remediate.model.target import Target
from remediate.service.project import Project

DISPOSABLE = "remediate_disposable"


def lab_hosts(project: Project, lab: Hosts, hosts: Sequence[Target]) -> tuple[str, ...]:
    """Names of those hosts that the lab can put back; the others were declared disposable.

    Raises:
        Refused: some are neither; nothing was touched.
    """
    ours, reasons = [], []
    for host in hosts:
        why = "; ".join(_strange(lab, host))
        if not why:
            ours.append(host.name)
        elif not _disposable(project, host):
            reasons.append(f"{host.name} ({host.address}) {why}")
    if reasons:
        raise Refused(
            "these would be broken on purpose, and nobody said that they may:\n  " + "\n  ".join(reasons),
            "name an inventory of the lab with --inventory, or declare them: `disposable` under [proof] in"
            f" remediate.toml, or the variable {DISPOSABLE}: true",
            tuple(reasons),
        )
    return tuple(ours)


def _disposable(project: Project, host: Target) -> bool:
    named = set(project.config.proof.disposable)
    return host.vars.get(DISPOSABLE) is True or bool(named & {host.name, *host.groups})


def _strange(lab: Hosts, host: Target) -> Iterator[str]:
    """Why this is no host of the lab; nothing if it is one."""
    layout = lab.layout
    if host.name not in lab.names():
        yield "is no host of the lab on this machine"
        return
    known = by_name(host.name)
    addresses = [address(layout, known), *([loopback(layout, known)] if known.routes else [])]
    if host.address not in addresses or host.port != 22:
        yield f"is not at the address of the lab's {host.name}"
    # Whoever has one of these keys was made by the lab: no other machine can be taken for it.
    if host.vars.get("remediate_known_hosts") != str(layout.known_hosts):
        yield f"is not checked against the lab's host keys ({layout.known_hosts})"
    try:
        way = access(host)
    except InputError as error:
        yield error.problem
        return
    if way.connection == "local" or way.jump is not None:
        yield "is not reached over the lab's own network"
    ours = VCenter(layout).variables()
    if any(host.vars.get(k, ours[k]) != ours[k] for k in ("vcenter_hostname", "vcenter_port")):
        yield "is a machine of another vCenter than the lab's"
