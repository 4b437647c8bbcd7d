"""The lab's certificate authority.

``python -m remediate.lab.ca issue NAME ADDRESS OUTDIR`` issues or renews one server certificate.
"""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from remediate.lab.command import LabError
from remediate.lab.data import write
from remediate.lab.layout import MAIN

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

#: Short, so that renewing means something.
SERVER_DAYS = 20
#: What a request gets.
RENEWED_DAYS = 90
CA_DAYS = 3650


def ensure(folder: Path) -> Path:
    """Make the authority (``ca.pem``, ``ca.key``) in ``folder`` unless it is there; returns ``ca.pem``."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    certificate = folder / "ca.pem"
    if certificate.exists():
        return certificate
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("remediate lab CA")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    signed = (
        _builder(name, name, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    # The certificate is written last: where it is, the key is too.
    write(folder / "ca.key", _key_text(key), 0o600)
    write(certificate, _certificate_text(signed))
    return certificate


def issue(folder: Path, name: str, address: str, days: int = SERVER_DAYS) -> tuple[str, str]:
    """A server certificate for ``name`` and ``address``, signed by the authority in ``folder``.

    Returns:
        the certificate and its new private key, both as PEM.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))])
    return _certificate_text(_leaf(folder, _name(name), key.public_key(), names, days)), _key_text(key)


def sign(folder: Path, request: bytes, days: int = RENEWED_DAYS) -> str:
    """A server certificate for the key and names of a request (PEM), signed by the authority in ``folder``.

    Raises:
        LabError: it is no request, its own signature is wrong, or it names no host.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        asked = x509.load_pem_x509_csr(request)
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as error:
        raise LabError(f"not a certificate request with names: {error}") from error
    key = asked.public_key()
    if not asked.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
        raise LabError("the request is not signed by the elliptic curve key that it is for")
    return _certificate_text(_leaf(folder, asked.subject, key, names, days))


def _leaf(
    folder: Path,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    names: x509.SubjectAlternativeName,
    days: int,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority = x509.load_pem_x509_certificate(ensure(folder).read_bytes())
    signer = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{folder}/ca.key is not an elliptic curve key")
    return (
        _builder(subject, authority.subject, key, days)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )


def _name(common: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # An hour back, for a client whose clock is a little behind.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _certificate_text(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def main() -> None:
    """The lab's certificate authority as a command: `issue` a new pair, or `sign` a request."""
    parser = argparse.ArgumentParser(prog="python -m remediate.lab.ca", description=main.__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    one = commands.add_parser("issue", help="write OUTDIR/NAME.crt and OUTDIR/NAME.key")
    one.add_argument("name", help="DNS name of the server")
    one.add_argument("address", help="its IP address")
    one.add_argument("outdir", type=Path)
    one.add_argument("--days", type=int, default=SERVER_DAYS, help="validity (%(default)s)")
    two = commands.add_parser("sign", help="read a request on standard input, print the certificate")
    two.add_argument("--days", type=int, default=RENEWED_DAYS, help="validity (%(default)s)")
    for command in (one, two):
        command.add_argument("--ca", type=Path, default=MAIN.ca, help="folder of the authority (%(default)s)")
    options = parser.parse_args()
    if options.command == "sign":
        print(sign(options.ca, sys.stdin.buffer.read(), options.days), end="")
        return
    certificate, key = issue(options.ca, options.name, options.address, options.days)
    write(options.outdir / f"{options.name}.key", key, 0o600)
    write(options.outdir / f"{options.name}.crt", certificate)
    print(options.outdir / f"{options.name}.crt")
    print(options.outdir / f"{options.name}.key")


if __name__ == "__main__":
    main()
