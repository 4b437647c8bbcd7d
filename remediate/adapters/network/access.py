"""How a device is reached, read from its inventory variables and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from remediate.adapters.hosts.access import Access, access
from remediate.adapters.network.platforms import Platform, platform_of
from remediate.errors import InputError
from remediate.model.target import Target

#: What Ansible calls the connection to a device's command line; to host steps it would mean something else.
_COMMAND_LINE = ("network_cli", "ansible.netcommon.network_cli")
_DEVICE_ONLY = ("ansible_connection", "ansible_become", "ansible_become_method")


@dataclass(frozen=True, slots=True)
class DeviceAccess:
    """Everything that a session needs. ``password`` and ``enable`` are secret references, empty where a key
    is enough; ``maintenance`` is the user who has a shell on a device that has one.
    """

    way: Access
    platform: Platform
    password: str = ""
    enable: str = ""
    maintenance: str = ""


def device_access(target: Target) -> DeviceAccess:
    """How to reach this device.

    Raises:
        InputError: a variable asks for what is not supported, or is malformed.
    """
    connection = target.vars.get("ansible_connection", "ssh")
    plain = target
    if connection in _COMMAND_LINE:
        own = {name: value for name, value in target.vars.items() if name not in _DEVICE_ONLY}
        plain = target.model_copy(update={"vars": own})
    return DeviceAccess(
        way=access(plain),
        platform=platform_of(target),
        password=_reference(target, "network_password"),
        enable=_reference(target, "network_enable"),
        maintenance=str(target.vars.get("network_maintenance_user") or ""),
    )


def maintenance_target(target: Target) -> Target | None:
    """The device as a host with a shell, if it has one: for what its command line can't do."""
    user = str(target.vars.get("network_maintenance_user") or "")
    if not user:
        return None
    own = {name: value for name, value in target.vars.items() if name not in _DEVICE_ONLY}
    # A name of its own, so that nobody mixes up the connections of the two users.
    return target.model_copy(update={"name": f"{target.name} ({user})", "user": user, "vars": own})


def _reference(target: Target, name: str) -> str:
    value = target.vars.get(name) or ""
    if not isinstance(value, str) or (value and ":" not in value):
        raise InputError(
            f"{target.name}: {name} is no secret reference", "write env:NAME or file:PATH, never the secret"
        )
    return value
