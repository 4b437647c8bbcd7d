"""The SSH signature format, taken apart (openssh-portable, PROTOCOL.sshsig).

Nothing is trusted because of what stands here: ssh-keygen verifies. This module makes sure that one
signature has one spelling only, and tells which key it claims.
"""

from __future__ import annotations

import base64
import binascii
import textwrap
from dataclasses import dataclass

_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG\x00\x00\x00\x01"
_HASHES = (b"sha256", b"sha512")


@dataclass(frozen=True, slots=True)
class SshSignature:
    """One SSHSIG blob. ``public_key`` is in wire format and may be a certificate."""

    blob: bytes
    public_key: bytes
    namespace: str

    @property
    def key_type(self) -> str:
        """``ssh-ed25519`` and the like."""
        return take(self.public_key)[0].decode("ascii", "replace")

    @property
    def armored(self) -> str:
        """The one text form: lines of 70 characters, as ssh-keygen writes them."""
        body = "\n".join(textwrap.wrap(base64.b64encode(self.blob).decode(), 70))
        return f"{_BEGIN}\n{body}\n{_END}\n"


def take(data: bytes) -> tuple[bytes, bytes]:
    """The first length-prefixed string (RFC 4251, section 5) and the rest.

    Raises:
        ValueError: the data ends too early.
    """
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise ValueError("it ends too early")
    return data[4 : 4 + size], data[4 + size :]


def parse(text: str) -> SshSignature:
    """The signature in this armored text.

    Raises:
        ValueError: says what is wrong with it.
    """
    # Word by word: one expression for all of it would try endless spaces in endless ways.
    before, _, inside = text.strip().partition(_BEGIN)
    body, _, after = inside.partition(_END)
    if before or after or not (body[:1].isspace() and body.strip() and body[-1:].isspace()):
        raise ValueError(f"no SSH signature (it starts with {_BEGIN})")
    try:
        blob = base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error:
        raise ValueError("the signature is not Base64") from None
    if not blob.startswith(_MAGIC):
        raise ValueError("not an SSH signature of version 1")
    key, rest = take(blob[len(_MAGIC) :])
    namespace, rest = take(rest)
    reserved, rest = take(rest)
    digest, rest = take(rest)
    _, rest = take(rest)
    if rest or reserved or digest not in _HASHES:
        raise ValueError("the signature has parts that don't belong there")
    take(key)
    return SshSignature(blob, key, namespace.decode("utf-8", "replace"))
