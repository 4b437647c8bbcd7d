"""Renew a TLS certificate before it expires, without the private key ever leaving its host."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StringConstraints

from remediate.authoring import (
    AbsolutePath,
    CertificateIs,
    Http,
    Playbook,
    Risk,
    RiskLevel,
    Runbook,
    Step,
    Symptom,
    UnitName,
    Watch,
    Waves,
)

#: Not the project's, so that the plan names it but has no digest of it: whoever may write it, is trusted.
AuthorityFile = Annotated[
    str,
    StringConstraints(pattern=r"^/[^\x00-\x1f\x7f]*$", max_length=4096),
    Field(description="an absolute path on this machine: the authority's certificate (PEM)"),
]


class RenewCertificate(Runbook):
    """Renew the TLS certificate of a web server that is about to expire.

    Each host makes a request with the key that it has; the signer (a command on this machine that reads the
    request and prints the certificate) answers it; chain, dates, key and names of the new certificate are
    proved before it replaces the old one. What goes back on a failure: the old certificate, then a reload.
    """

    class Inputs(Runbook.Inputs):
        certificate: AbsolutePath = "/etc/nginx/tls/shop.crt"
        key: AbsolutePath = "/etc/nginx/tls/shop.key"
        authority: AuthorityFile = "/var/lib/remediate-lab/ca/ca.pem"
        service: UnitName = "nginx"
        days: int = 30
        signer: tuple[str, ...] = (sys.executable, "-m", "remediate.lab.ca", "sign")

    targets = "web"
    strategy = Waves(canary=1, then="50%")
    risk = Risk(level=RiskLevel.LOW, outage="none: the server reloads its configuration", data_loss="none")
    symptoms = (Symptom(pattern="certificate has expired|certificate expires", means="TLS is about to fail"),)

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        yield Playbook(
            "playbooks/renew_certificate.yml",
            label=f"renew {inputs.certificate} and reload {inputs.service}",
            vars={
                "tls_certificate": inputs.certificate,
                "tls_key_file": inputs.key,
                "tls_authority": inputs.authority,
                "tls_service": inputs.service,
                "tls_days": inputs.days,
                "tls_signer": list(inputs.signer),
            },
            watch=Watch(files=[inputs.certificate], reloads=[inputs.service]),
            verify=[
                CertificateIs(
                    host="{target.address}",
                    port=443,
                    server_name="{target.name}",
                    not_expiring_within=inputs.days * 86400,
                    within="10s",
                ),
                Http("https://{target.address}/healthz", status=200, ca=inputs.authority, within="10s"),
            ],
        )
