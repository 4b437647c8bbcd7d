"""Which host keys are believed: those in the given known_hosts files, and no others, ever."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from remediate.adapters.hosts.errors import HostKeyRefused


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public key as SSH sends it (RFC 4253, 6.6), and its type's name."""

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"{self.type} SHA256:{digest}"


def lookup_name(address: str, port: int) -> str:
    """The name of a host in known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    return address if port == 22 else f"[{address}]:{port}"


def known_keys(name: str, address: str, port: int, files: tuple[Path, ...]) -> frozenset[HostKey]:
    """All keys that these files have for the host, without those marked as revoked.

    Raises:
        HostKeyRefused: there is none, so nothing could prove that it is the right host.
    """
    wanted = lookup_name(address, port)
    believed: set[HostKey] = set()
    revoked: set[HostKey] = set()
    for marker, patterns, key in _entries(files):
        if _matches(patterns, wanted):
            # A certificate authority's key (@cert-authority) is no host's key.
            (revoked if marker == "@revoked" else believed if not marker else set()).add(key)
    if not believed - revoked:
        shown = ", ".join(map(str, files)) or "no known_hosts file is given"
        raise HostKeyRefused(
            f"{name}: the host key of {wanted} is not known ({shown}); no credential was sent",
            _advice(address, port, files),
        )
    return frozenset(believed - revoked)


def changed(name: str, address: str, port: int, shown: HostKey, files: tuple[Path, ...]) -> HostKeyRefused:
    """The error for a host that shows another key than the known ones."""
    wanted = lookup_name(address, port)
    return HostKeyRefused(
        f"{name}: {wanted} shows another host key than the known one: {shown.fingerprint}; this is another "
        "machine, or somebody is in between; no credential was sent",
        f"if the host was really installed anew, remove the old line (`ssh-keygen -R '{wanted}'`); then "
        + _advice(address, port, files),
    )


def _advice(address: str, port: int, files: tuple[Path, ...]) -> str:
    scan = address if port == 22 else f"-p {port} {address}"
    return (
        "ask for the key's fingerprint by another way (console, cloud interface, whoever runs the host), "
        f"compare it with `ssh-keyscan {scan} | ssh-keygen -lf -`, and only if equal add that line to "
        f"{files[0] if files else '~/.ssh/known_hosts'}"
    )


def _entries(files: Iterable[Path]) -> Iterator[tuple[str, list[str], HostKey]]:
    for file in files:
        try:
            text = file.read_text(errors="replace")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HostKeyRefused(f"can't read {file}: {error.strerror}") from None
        for line in text.splitlines():
            words = line.split()
            marker = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) >= 3 and not words[0].startswith("#"):
                with suppress(binascii.Error):
                    blob = base64.b64decode(words[2], validate=True)
                    yield marker, words[0].split(","), HostKey(words[1], blob)


def _matches(patterns: list[str], name: str) -> bool:
    """Plain, hashed, wildcard and negated names; a negated match wins."""
    found = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if _matches_one(pattern.removeprefix("!"), name):
            if negated:
                return False
            found = True
    return found


def _matches_one(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        salt, _, digest = pattern[3:].partition("|")
        try:
            made = hmac.digest(base64.b64decode(salt), name.encode(), "sha1")
            return hmac.compare_digest(made, base64.b64decode(digest))
        except binascii.Error:
            return False
    # Brackets stand for themselves here: they are part of names with a port.
    return fnmatchcase(name, pattern.replace("[", "[[]"))
