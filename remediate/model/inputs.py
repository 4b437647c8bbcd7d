"""Input types that carry the field's own rules, so that a runbook can't be given a nonsense value."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

#: Debian Policy 5.6.1.
DebianPackage = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$", max_length=128),
    Field(description="a Debian package name, such as nginx"),
]

#: Debian Policy 5.6.12: epoch:upstream-revision.
DebianVersion = Annotated[
    str,
    StringConstraints(pattern=r"^(\d+:)?[0-9][A-Za-z0-9.+~-]*$", max_length=128),
    Field(description="an exact Debian version, such as 1.22.1-9"),
]

#: systemd.unit(5), without templates of paths.
UnitName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9:_.@-]+$", max_length=255),
    Field(description="a systemd unit, such as nginx or nginx.service"),
]

AbsolutePath = Annotated[
    str,
    StringConstraints(pattern=r"^/[^\x00-\x1f\x7f]*$", max_length=4096),
    Field(description="an absolute path on the target"),
]


def _inside(path: str) -> str:
    # Pydantic's own expressions know no look-around.
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError("the path must be relative and lead nowhere outside the project")
    return path


ProjectPath = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=4096),
    AfterValidator(_inside),
    Field(description="a path inside the project"),
]


def _network(text: str) -> str:
    network = IPv4Network(text)
    if network.prefixlen < 8:
        raise ValueError("a network of a length below 8 is more than one wants to change at once")
    return str(network)


#: RFC 4632; without bits behind its length.
Ipv4Prefix = Annotated[
    str,
    AfterValidator(_network),
    Field(description="an IPv4 network, such as 203.0.113.0/24"),
]
