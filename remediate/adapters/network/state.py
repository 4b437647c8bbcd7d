"""What a device shows, as data: JSON where it gives that, else by the community's TextFSM templates."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from remediate.adapters.network.device import Device
from remediate.errors import StepFailed
from remediate.model.clip import clip

#: Fields that differ between two reads although nothing happened.
_VOLATILE = re.compile(
    r"(?i)up_?time|msecs?$|dead_?time|timer|counter|^age$|packets|bytes|^(?:in|out)put_?rate|last_|since"
    r"|nexthopgroupid|^(?:msg|table_?version|lsa?(?:age|sequence|checksum))|rcvd$|sent$|^queue"
)
_NESTING = 50
#: Platforms whose commands take a suffix that makes them answer in JSON.
_JSON_SUFFIX = {"frr": " json", "eos": " | json"}


def as_data(device: Device, command: str) -> Any:
    """What a command shows, without volatile fields.

    Raises:
        StepFailed: it can't be understood.
        Unreachable: it can't be read.
    """
    return without_volatile(parsed(device, command))


def parsed(device: Device, command: str) -> Any:
    """What a command shows, as the device or a template gives it."""
    suffix = _JSON_SUFFIX.get(device.platform.name)
    if suffix is None:
        return _by_template(device, command)
    text = device.read(command if command.endswith("json") else command + suffix)
    try:
        data = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise StepFailed(f"{device.name}: {command!r} gave no JSON: {clip(text, 200)}") from None
    if not isinstance(data, dict) or _deep(data):
        raise _strange(device, command, text)
    return data


def _strange(device: Device, command: str, data: object) -> StepFailed:
    return StepFailed(f"{device.name}: {command!r} gave something unknown: {clip(str(data), 200)}")


def _deep(value: Any) -> bool:
    """Whether it is nested deeper than any device means."""
    level = [value]
    for _ in range(_NESTING):
        inside = (v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list))
        level = [v for values in inside for v in values]
    return bool(level)


@contextmanager
def _understood(device: Device, command: str, data: object) -> Iterator[None]:
    """Data of another shape than a device's own is no state of it."""
    try:
        yield
    except (AttributeError, KeyError, TypeError):
        raise _strange(device, command, data) from None


def _by_template(device: Device, command: str) -> Any:
    from ntc_templates.parse import parse_output

    text = device.read(command)
    if not text.strip():
        return []
    try:
        return parse_output(platform=device.platform.templates, command=command, data=text)
    except Exception as error:  # textfsm and ntc-templates raise bare Exceptions
        said = clip(" ".join(str(error).split()), 200)
        raise StepFailed(f"{device.name}: {command!r} can't be understood: {said}") from None


def without_volatile(value: Any) -> Any:
    """The value without fields that change by themselves, whatever happens."""
    if isinstance(value, dict):
        return {k: without_volatile(v) for k, v in value.items() if not _VOLATILE.search(str(k))}
    if isinstance(value, list):
        return [without_volatile(v) for v in value]
    return value


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A router next door. ``up`` means that routes are exchanged with it."""

    address: str
    interface: str
    state: str
    up: bool


@dataclass(frozen=True, slots=True)
class Route:
    """The way that packets to a prefix take now."""

    prefix: str
    protocol: str
    via: tuple[str, ...]
    interfaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface; ``up`` is what it is, ``enabled`` what it was told to be."""

    name: str
    up: bool
    enabled: bool
    addresses: tuple[str, ...]


Protocol = Literal["ospf", "bgp"]


def neighbors(device: Device, protocol: Protocol) -> tuple[Neighbor, ...]:
    """All neighbours of a routing protocol."""
    command = {"ospf": "show ip ospf neighbor", "bgp": "show ip bgp summary"}[protocol]
    data = parsed(device, command)
    if device.platform.name == "frr":
        with _understood(device, command, data):
            return tuple(_FRR_NEIGHBORS[protocol](data))
    return tuple(_row_neighbor(row, protocol) for row in _rows(data))


def routes(device: Device, prefix: str) -> tuple[Route, ...]:
    """The routes in use for a prefix."""
    command = f"show ip route {prefix}"
    data = parsed(device, command)
    if device.platform.name == "frr":
        with _understood(device, command, data):
            selected = [entry for found in data.values() for entry in found if entry.get("selected")]
            return tuple(_frr_route(entry) for entry in selected)
    return tuple(_row_route(row) for row in _rows(data))


def interfaces(device: Device) -> tuple[Interface, ...]:
    """All interfaces."""
    if device.platform.name == "frr":
        data = parsed(device, "show interface")
        with _understood(device, "show interface", data):
            return tuple(_frr_interface(name, entry) for name, entry in data.items())
    return tuple(_row_interface(row) for row in _rows(parsed(device, "show ip interface brief")))


def _rows(data: Any) -> list[Mapping[str, Any]]:
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []


def _frr_ospf(data: Mapping[str, Any]) -> list[Neighbor]:
    return [
        Neighbor(
            address=str(entry.get("ifaceAddress", entry.get("address", ""))),
            interface=str(entry.get("ifaceName", "")).partition(":")[0],
            state=str(entry.get("nbrState", entry.get("state", ""))),
            up=entry.get("converged") == "Full",
        )
        for found in data.get("neighbors", {}).values()
        for entry in found
    ]


def _frr_bgp(data: Mapping[str, Any]) -> list[Neighbor]:
    peers = data.get("ipv4Unicast", data).get("peers", {})
    return [
        Neighbor(address, "", str(entry.get("state", "")), entry.get("state") == "Established")
        for address, entry in peers.items()
    ]


_FRR_NEIGHBORS: dict[Protocol, Callable[[Mapping[str, Any]], list[Neighbor]]] = {
    "ospf": _frr_ospf,
    "bgp": _frr_bgp,
}


def _frr_route(entry: Mapping[str, Any]) -> Route:
    active = [hop for hop in entry.get("nexthops", []) if hop.get("active")]
    return Route(
        prefix=str(entry.get("prefix", "")),
        protocol=str(entry.get("protocol", "")),
        via=tuple(sorted(str(hop["ip"]) for hop in active if "ip" in hop)),
        interfaces=tuple(sorted(str(hop["interfaceName"]) for hop in active if "interfaceName" in hop)),
    )


def _frr_interface(name: str, entry: Mapping[str, Any]) -> Interface:
    return Interface(
        name=name,
        up=entry.get("operationalStatus") == "up",
        enabled=entry.get("administrativeStatus") == "up",
        addresses=tuple(sorted(str(a["address"]) for a in entry.get("ipAddresses", []))),
    )


def _row_neighbor(row: Mapping[str, Any], protocol: Protocol) -> Neighbor:
    """Of ntc-templates: names differ a little between platforms."""
    state = _first(row, "state", "state_pfxrcd", "state_or_prefixes_received")
    # A number of prefixes stands where the state of a BGP neighbour that is not established would.
    up = state.upper().startswith("FULL") if protocol == "ospf" else state.isdigit() or state == "Established"
    return Neighbor(_first(row, "ip_address", "address", "bgp_neighbor"), _first(row, "interface"), state, up)


def _row_route(row: Mapping[str, Any]) -> Route:
    prefix = f"{_first(row, 'network')}/{_first(row, 'prefix_length', 'mask')}"
    via = (_first(row, "nexthop_ip", "next_hop"),)
    return Route(prefix, _first(row, "protocol"), via, (_first(row, "nexthop_if", "interface"),))


def _row_interface(row: Mapping[str, Any]) -> Interface:
    address = _first(row, "ip_address", "ipaddr")
    return Interface(
        name=_first(row, "interface", "intf"),
        up=_first(row, "proto", "protocol").startswith("up"),
        enabled=not _first(row, "status").startswith("admin"),
        addresses=() if address in ("", "unassigned") else (address,),
    )


def _first(row: Mapping[str, Any], *names: str) -> str:
    value = next((row[name] for name in names if row.get(name)), "")
    return str(value[0] if isinstance(value, list) and value else value)
