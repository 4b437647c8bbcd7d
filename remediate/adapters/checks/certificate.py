"""Which certificate a TLS server shows."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field, field_validator

from remediate.adapters.checks.question import Finding, Question
from remediate.model.base import Duration, duration_text
from remediate.model.base import sha256 as sha256_of
from remediate.model.step import Context
from remediate.model.target import Target

_DAY = 86400.0


class CertificateIs(Question):
    """The certificate of a TLS server: how long it is valid, who issued it, and which one it is.

    The certificate is read as it is shown, also when nothing trusts it: whether it is trusted is what
    `Http` finds out. ``fingerprint`` is the SHA-256 of its DER form, in hex, with or without colons.
    """

    kind: ClassVar[str] = "certificate"
    filled: ClassVar[tuple[str, ...]] = ("host", "server_name", "issuer")

    host: str = Field(min_length=1)
    port: int = Field(default=443, ge=1, le=65535)
    server_name: str | None = None
    not_expiring_within: Duration = 14 * _DAY
    issuer: str | None = None
    fingerprint: str | None = None
    timeout: Duration = 10.0

    def __init__(self, host: str = "", port: int = 443, **fields: Any) -> None:
        super().__init__(**{"host": host, "port": port, **fields})

    @field_validator("fingerprint")
    @classmethod
    def _hex(cls, value: str | None) -> str | None:
        plain = value.replace(":", "").lower() if value is not None else None
        if plain is not None and (len(plain) != 64 or set(plain) - set("0123456789abcdef")):
            raise ValueError("a SHA-256 fingerprint has 64 hex digits")
        return plain

    def subject(self, target: Target) -> str:
        """The server."""
        return f"certificate of {target.render(self.host)} port {self.port}"

    def expected(self, target: Target) -> str:
        """What it should be."""
        words = [f"valid for {_days(self.not_expiring_within)} and more"]
        words += [f"issued by {target.render(self.issuer)}"] if self.issuer else []
        words += [f"sha256 {self.fingerprint}"] if self.fingerprint else []
        return ", ".join(words)

    def look(self, context: Context) -> Finding:
        """Shake hands and read it."""
        from cryptography import x509

        der = self._shown(context.target)
        certificate = x509.load_der_x509_certificate(der)
        now = datetime.now(UTC)
        left = certificate.not_valid_after_utc - now
        issuer, digest = certificate.issuer.rfc4514_string(), sha256_of(der)
        ok = certificate.not_valid_before_utc <= now and left >= timedelta(seconds=self.not_expiring_within)
        ok = ok and (self.issuer is None or context.target.render(self.issuer) in issuer)
        ok = ok and self.fingerprint in (None, digest)
        since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        valid = f"valid from {since:%Y-%m-%d} to {until:%Y-%m-%d}"
        return Finding(ok, f"{valid}, issued by {issuer}, sha256 {digest}")

    def _shown(self, target: Target) -> bytes:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
        host = target.render(self.host)
        name = target.render(self.server_name or self.host)
        with (
            socket.create_connection((host, self.port), self.timeout) as plain,
            trust.wrap_socket(plain, server_hostname=name) as connection,
        ):
            return connection.getpeercert(binary_form=True) or b""


def _days(seconds: float) -> str:
    return f"{seconds / _DAY:.0f} days" if seconds >= 2 * _DAY else duration_text(seconds)
