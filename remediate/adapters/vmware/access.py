"""Which vCenter a target's virtual machine lives on, and which machine it is: inventory variables."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from remediate.errors import StepFailed
from remediate.model.target import Target

_PIN = re.compile(r"^[0-9a-f]{64}$")
_HOST = re.compile(r"^[A-Za-z0-9_.:-]{1,253}$")
_ADVICE = "set it in the inventory, and plan again"


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that a session needs.

    ``password`` is a secret reference. ``pin`` is the SHA-256 of the server's own certificate (hex); with it,
    no authority has to be known. With neither, the machine's own authorities are believed.
    """

    hostname: str
    port: int
    username: str
    password: str
    ca_file: Path | None = None
    pin: str = ""

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.hostname if self.port == 443 else f"{self.hostname}:{self.port}"

    @property
    def key(self) -> tuple[str, ...]:
        """One session for each: targets that differ in anything of it share none."""
        return ("vcenter", self.name, self.username, self.password, str(self.ca_file or ""), self.pin)


def access(target: Target) -> Access:
    """The vCenter of this target.

    Raises:
        StepFailed: a variable is missing or malformed; nothing was done.
    """
    hostname = _text(target, "vcenter_hostname").strip("[]")
    if not _HOST.match(hostname):
        raise StepFailed(f"{target.name}: vcenter_hostname is no host name or address: {hostname!r}", _ADVICE)
    ca_file = _text(target, "vcenter_ca_file", "")
    return Access(
        hostname=hostname,
        port=_port(target),
        username=_text(target, "vcenter_username"),
        password=_text(target, "vcenter_password"),
        ca_file=Path(ca_file).expanduser() if ca_file else None,
        pin=_pin(target),
    )


def instance_uuid(target: Target) -> str:
    """The instance UUID of this target's virtual machine, in lower case with hyphens.

    Raises:
        StepFailed: it is missing or malformed.
    """
    text = _text(target, "vm_instance_uuid")
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise StepFailed(f"{target.name}: vm_instance_uuid is no UUID: {text!r}", _ADVICE) from None


def _text(target: Target, name: str, default: str | None = None) -> str:
    value = target.vars.get(name, default)
    if value is None:
        raise StepFailed(f"{target.name}: {name} is not set", _ADVICE)
    if not isinstance(value, str):
        raise StepFailed(f"{target.name}: {name} must be plain text, not {type(value).__name__}", _ADVICE)
    return value


def _port(target: Target) -> int:
    value = target.vars.get("vcenter_port", 443)
    if not str(value).isdecimal() or not 0 < int(str(value)) < 65536:
        raise StepFailed(f"{target.name}: vcenter_port is no port: {value!r}", _ADVICE)
    return int(str(value))


def _pin(target: Target) -> str:
    value = _text(target, "vcenter_certificate_sha256", "").replace(":", "").lower()
    if value and not _PIN.match(value):
        raise StepFailed(
            f"{target.name}: vcenter_certificate_sha256 is no SHA-256 (64 hex digits)",
            "openssl x509 -in CERTIFICATE -noout -fingerprint -sha256",
        )
    return value
