"""This machine as a target, and servers to ask."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from remediate.adapters.clients import ClientPool
from remediate.model.step import Context
from tests.adapters.hosts.world import World, here


@pytest.fixture(scope="session")
def _pool() -> Iterator[ClientPool]:
    with ClientPool() as pool:
        yield pool


@pytest.fixture
def world(tmp_path: Path, _pool: ClientPool) -> World:
    """This machine."""
    (tmp_path / "project").mkdir()
    return World(here(pool="web"), _pool, tmp_path, f"check-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def context(world: World) -> Context:
    """A context for checks."""
    return world.context()


class Handler(BaseHTTPRequestHandler):
    """A few answers by path."""

    def do_GET(self) -> None:
        status, body = {
            "/healthz": (200, json.dumps({"status": "ok", "items": [{"state": "up", "n": 1}]}).encode()),
            "/broken": (500, b"no cheese"),
            "/moved": (302, b""),
            "/long": (200, b"x" * (5 << 20)),
            "/hostile": (200, b"\x1b[31m\xff\x00<script>"),
            "/host": (200, self.headers["Host"].encode()),
        }.get(self.path.partition("?")[0], (404, b"nothing here"))
        self.send_response(status)
        self.send_header("Location", "/healthz")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class Quiet(ThreadingHTTPServer):
    """A client that hangs up, or trusts nobody, is no news."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Quiet."""


def _serve(prepare: Callable[[ThreadingHTTPServer], None]) -> Iterator[int]:
    with Quiet(("127.0.0.1", 0), Handler) as server:
        prepare(server)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _plain(_server: ThreadingHTTPServer) -> None:
    """As it is."""


@pytest.fixture
def web() -> Iterator[int]:
    """The port of a web server."""
    yield from _serve(_plain)


@dataclass(frozen=True)
class Tls:
    """The port of a web server with TLS, its authority, and its certificate's fingerprint."""

    port: int
    ca: Path
    fingerprint: str


@pytest.fixture
def tls(world: World) -> Iterator[Tls]:
    """A server with a certificate for 127.0.0.1 that is valid for thirty days."""
    tmp_path = world.folder
    certificate, key = _certificate(30)
    (tmp_path / "project" / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(key)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(tmp_path / "project" / "ca.pem", tmp_path / "key.pem")

    def wrap(server: ThreadingHTTPServer) -> None:
        server.socket = trust.wrap_socket(server.socket, server_side=True)

    for port in _serve(wrap):
        fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
        yield Tls(port, tmp_path / "project" / "ca.pem", fingerprint)


def _certificate(days: int) -> tuple[x509.Certificate, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "remediate test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
