"""Where a target's database server answers and who logs in: inventory variables, and nothing else.

For each engine (``mariadb``, ``postgres``, ``mongodb``) a target has ``ENGINE_user`` and ``ENGINE_password``
(a secret reference). ``ENGINE_via`` is ``ssh`` (the default: through the target's SSH connection, to the
address that the server has there) or ``direct``. ``ENGINE_host`` and ``ENGINE_port`` say where it answers:
seen from the target through SSH, seen from here otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from remediate.errors import StepFailed
from remediate.model.target import Target

PORTS = {"mariadb": 3306, "postgres": 5432, "mongodb": 27017}
_HOST = re.compile(r"^[A-Za-z0-9_.:/-]{1,253}$")
_ADVICE = "set it in the inventory, and plan again"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the inventory says."""

    engine: str
    target: str
    via: Literal["ssh", "direct"]
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    """A secret reference; empty where the server asks for none."""
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that can be connected to from here, by clients and by programs such as a dump.

    ``host`` is a name or an address; a path is the directory of the Unix socket (a tunnel, or a private
    server). The password is the secret itself: it goes to a server that proved who it is, into a file 0600
    or an environment, and never onto a command line.
    """

    name: str
    host: str
    port: int
    user: str
    password: str = field(default="", repr=False)
    ca_file: Path | None = None

    @property
    def local(self) -> bool:
        """Whether it is reached by a Unix socket."""
        return self.host.startswith("/")

    @property
    def socket(self) -> str:
        """Path of the Unix socket; PostgreSQL's clients insist on this name, the others take any."""
        return f"{self.host}/.s.PGSQL.{self.port}"

    @property
    def trusted(self) -> bool:
        """Whether the way there needs no TLS: a Unix socket, or this machine itself."""
        return self.local or self.host in ("127.0.0.1", "::1", "localhost")


def wanted(target: Target, engine: str) -> Wanted:
    """What the inventory says about this target's database server.

    Raises:
        StepFailed: a variable is missing or malformed; nothing was done.
    """
    via = _text(target, f"{engine}_via", "ssh")
    if via not in ("ssh", "direct"):
        raise StepFailed(f"{target.name}: {engine}_via is {via!r}; it must be ssh or direct", _ADVICE)
    host = _text(target, f"{engine}_host", "127.0.0.1" if via == "ssh" else target.address)
    if not _HOST.match(host):
        raise StepFailed(f"{target.name}: {engine}_host is no host name or address: {host!r}", _ADVICE)
    ca_file = _text(target, f"{engine}_ca_file", "")
    return Wanted(
        engine=engine,
        target=target.name,
        via="direct" if via == "direct" else "ssh",
        host=host,
        port=_port(target, f"{engine}_port", PORTS[engine]),
        user=_text(target, f"{engine}_user"),
        password=_text(target, f"{engine}_password", ""),
        ca_file=Path(ca_file).expanduser() if ca_file else None,
    )


def _text(target: Target, name: str, default: str | None = None) -> str:
    value = target.vars.get(name, default)
    if value is None:
        raise StepFailed(f"{target.name}: the variable {name} is missing", _ADVICE)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise StepFailed(f"{target.name}: {name} must be plain text, not {type(value).__name__}", _ADVICE)
    return target.render(str(value))


def _port(target: Target, name: str, default: int) -> int:
    text = _text(target, name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise StepFailed(f"{target.name}: {name} is no port: {text!r}", _ADVICE)
    return int(text)
