"""A vCenter that is not the one that it should be gets no byte; and one that is, no wrong login."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.adapters.vmware.access import Access, access, instance_uuid
from remediate.adapters.vmware.client import connect
from remediate.adapters.vmware.errors import Rejected, Unreachable
from remediate.adapters.vmware.session import VCenter
from remediate.errors import StepFailed
from remediate.lab import ca
from remediate.model.target import Target
from tests.adapters.vmware.world import World, target

PASSWORD = "never-sent-5f1a"


@dataclass
class Impostor:
    """A TLS server with a certificate of its own authority; it keeps what it is told, and hangs up."""

    listener: socket.socket
    context: ssl.SSLContext
    folder: Path
    heard: bytearray = field(default_factory=bytearray)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def pin(self) -> str:
        """SHA-256 of its certificate."""
        pem = (self.folder / "server.pem").read_text()
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()

    def serve(self) -> None:
        """Until the listener is closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                try:
                    with self.context.wrap_socket(connection, server_side=True) as tls:
                        self.heard += tls.recv(4096)
                except OSError:
                    continue


@pytest.fixture(params=["127.0.0.1", "127.0.0.2"])
def impostor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Impostor]:
    """At addresses of this machine: at the first one, pyvmomi by itself verifies nothing."""
    ca.ensure(tmp_path)
    certificate, key = ca.issue(tmp_path, "vcenter.example.org", request.param)
    (tmp_path / "server.pem").write_text(certificate)
    (tmp_path / "server.key").write_text(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    with socket.create_server((request.param, 0)) as listener:
        made = Impostor(listener, context, tmp_path)
        thread = threading.Thread(target=made.serve, daemon=True)
        thread.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def way(impostor: Impostor) -> Access:
    address = impostor.listener.getsockname()[0]
    return Access(address, impostor.port, "remediate", "env:PASSWORD")


def test_an_unknown_authority_hears_nothing(impostor: Impostor) -> None:
    with pytest.raises(Unreachable, match=r"did not prove who it is: .*; nothing was sent"):
        VCenter(way(impostor), PASSWORD)
    assert not impostor.heard


def test_another_authority_hears_nothing(impostor: Impostor, tmp_path: Path) -> None:
    other = ca.ensure(tmp_path / "other")
    with pytest.raises(Unreachable, match="nothing was sent"):
        VCenter(replace(way(impostor), ca_file=other), PASSWORD)
    assert not impostor.heard


@pytest.mark.parametrize("impostor", ["127.0.0.1"], indirect=True)
def test_another_name_hears_nothing(impostor: Impostor) -> None:
    known = replace(way(impostor), hostname="localhost", ca_file=impostor.folder / "ca.pem")
    with pytest.raises(Unreachable, match="nothing was sent"):
        VCenter(known, PASSWORD)
    assert not impostor.heard


def test_a_wrong_pin_hears_nothing_also_with_the_right_authority(impostor: Impostor) -> None:
    for ca_file in (None, impostor.folder / "ca.pem"):
        with pytest.raises(Unreachable, match="not the pinned one"):
            VCenter(replace(way(impostor), pin="0" * 64, ca_file=ca_file), PASSWORD)
    assert not impostor.heard


def test_the_right_pin_is_spoken_to(impostor: Impostor) -> None:
    with pytest.raises(Unreachable, match="no answer"):
        VCenter(replace(way(impostor), pin=impostor.pin), PASSWORD)
    assert impostor.heard.startswith(b"POST /sdk")
    assert PASSWORD.encode() not in impostor.heard


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(Unreachable, match=r"can't be reached.*nothing was sent"):
        VCenter(Access("127.0.0.1", port, "remediate", "env:X"), PASSWORD)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("vcenter_hostname", None, "vcenter_hostname is not set"),
        ("vcenter_hostname", "a b", "no host name"),
        ("vcenter_port", "https", "no port"),
        ("vcenter_port", 0, "no port"),
        ("vcenter_password", {"__ansible_vault": "x"}, "must be plain text"),
        ("vcenter_certificate_sha256", "aa:bb", "no SHA-256"),
        ("vm_instance_uuid", "web1", "no UUID"),
    ],
)
def test_variables_that_say_nothing(name: str, value: str | None, message: str) -> None:
    variables = {**target("web1").vars, name: value}
    broken = Target(name="web1", address="web1", vars={k: v for k, v in variables.items() if v is not None})
    with pytest.raises(StepFailed, match=f"^web1: .*{message}"):
        instance_uuid(broken) if name == "vm_instance_uuid" else access(broken)


@pytest.mark.lab
def test_a_wrong_password(world: World, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text(PASSWORD)
    variables = {"vcenter_password": f"file:{tmp_path}/wrong"}
    with pytest.raises(Rejected, match="refuses the login of remediate@lab") as refused:
        connect(world.context(variables=variables))
    assert PASSWORD not in str(refused.value)


@pytest.mark.lab
def test_the_lab_by_its_pin_alone(world: World) -> None:
    way = access(target("web1"))
    pem = ssl.get_server_certificate((way.hostname, way.port))
    pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    pinned = {"vcenter_certificate_sha256": pin.upper(), "vcenter_ca_file": ""}
    assert connect(world.context(variables=pinned)).session_key


@pytest.mark.lab
def test_one_session_for_all_threads_and_targets(world: World) -> None:
    sessions = [connect(world.context(name)) for name in ("web1", "web2")]
    assert sessions[0] is sessions[1]
    found: set[str] = set()
    threads = [threading.Thread(target=lambda: found.add(sessions[0].session_key)) for _ in range(8)]
    world.faults.end_sessions()
    world.reconnect()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # All were logged out, and one of them logged in for all.
    assert len(found) == 1
    assert len(world.api.content.sessionManager.sessionList) == 2


@pytest.mark.lab
def test_closing_logs_out(world: World) -> None:
    with ClientPool() as pool:
        connect(replace(world.context(), clients=pool))
        assert len(world.api.content.sessionManager.sessionList) == 2
    assert len(world.api.content.sessionManager.sessionList) == 1
