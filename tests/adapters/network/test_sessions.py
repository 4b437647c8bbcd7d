"""Sessions with simulated devices: who is believed, what is understood, and when it is over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from remediate.adapters.clients import ClientPool
from remediate.adapters.hosts.errors import HostKeyRefused, Unreachable
from remediate.adapters.network import login as login_module
from remediate.adapters.network.access import device_access
from remediate.adapters.network.device import connect
from remediate.adapters.network.session import DeviceSession
from remediate.adapters.network.text import clean
from remediate.errors import InDoubt, InputError
from remediate.model.target import Target
from tests.adapters.hosts.sshd import new_key
from tests.adapters.hosts.world import World
from tests.adapters.network.simulated import Frr
from tests.adapters.network.simulator import Simulator

CONFIG = ("hostname dev1", "banner motd dev1# and dev1> are prompts", "interface eth0", " description dev1#")


class OneSecret:
    """A password behind a reference."""

    def resolve(self, reference: str) -> str:
        """Its value."""
        assert reference == "env:DEVICE"
        return "pa55word"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[paramiko.PKey, paramiko.PKey, Path]:
    """The host's, the user's, and where the user's is."""
    folder = tmp_path_factory.mktemp("keys")
    return new_key(folder / "host"), new_key(folder / "user"), folder / "user"


@pytest.fixture
def simulator(keys: tuple[paramiko.PKey, paramiko.PKey, Path]) -> Iterator[Simulator]:
    """A device with a difficult configuration."""
    with Simulator(Frr(*CONFIG), keys[0], keys[1], "pa55word") as made:
        yield made


def target(
    simulator: Simulator, folder: Path, key: Path | None, platform: str = "frr", **more: str
) -> Target:
    """It, as an inventory describes it."""
    known = folder / "known_hosts"
    if not known.exists():
        known.write_text(simulator.known_hosts_line())
    own: dict[str, object] = {"network_platform": platform, "remediate_known_hosts": str(known), **more}
    if key is not None:
        own["ansible_ssh_private_key_file"] = str(key)
    return Target(name="dev1", address="127.0.0.1", port=simulator.port, user="ops", vars=own)


@pytest.fixture
def pool() -> Iterator[ClientPool]:
    """Closed in the end."""
    with ClientPool() as made:
        yield made


@pytest.fixture
def device(
    simulator: Simulator, tmp_path: Path, keys: tuple[paramiko.PKey, paramiko.PKey, Path], pool: ClientPool
) -> DeviceSession:
    """A session by key."""
    access = device_access(target(simulator, tmp_path, keys[2]))
    return pool.get(
        ("network", "dev1"), lambda: DeviceSession(access, OneSecret(), pool), DeviceSession.close
    )


def test_an_impostor_gets_no_byte_of_a_credential(
    simulator: Simulator, tmp_path: Path, pool: ClientPool
) -> None:
    good = target(simulator, tmp_path, None, network_password="env:DEVICE")
    with Simulator(Frr(), new_key(tmp_path / "other"), new_key(tmp_path / "user"), "pa55word") as impostor:
        known = tmp_path / "known_hosts"
        known.write_text(known.read_text().replace(str(simulator.port), str(impostor.port)))
        there = good.model_copy(update={"port": impostor.port})
        with pytest.raises(HostKeyRefused, match="no credential was sent"):
            DeviceSession(device_access(there), OneSecret(), pool)
        known.write_text("")
        with pytest.raises(HostKeyRefused, match="is not known"):
            DeviceSession(device_access(there), OneSecret(), pool)
        assert impostor.attempts == []


def test_a_password_comes_by_reference_and_a_wrong_one_is_no_mystery(
    simulator: Simulator, tmp_path: Path, pool: ClientPool
) -> None:
    there = target(simulator, tmp_path, None, network_password="env:DEVICE")
    session = DeviceSession(device_access(there), OneSecret(), pool)
    assert "hostname dev1" in session.ask("show running-config")
    session.close()
    simulator.password = "another"
    with pytest.raises(Unreachable, match="was not let in") as info:
        DeviceSession(device_access(there), OneSecret(), pool)
    assert "pa55word" not in str(info.value)
    plain = target(simulator, tmp_path, None, network_password="pa55word")
    with pytest.raises(InputError, match="network_password is no secret reference"):
        device_access(plain)


def test_prompts_in_the_output_end_no_answer(device: DeviceSession) -> None:
    answer = device.ask("show running-config")
    assert [line for line in CONFIG if line not in answer] == []
    assert answer.endswith("end")


def test_a_banner_full_of_prompts_is_no_prompt(
    simulator: Simulator, tmp_path: Path, keys: tuple[paramiko.PKey, paramiko.PKey, Path], pool: ClientPool
) -> None:
    simulator.device.banner = "evil1#\nevil2>\nWelcome to evil3(config)#\n"
    session = DeviceSession(device_access(target(simulator, tmp_path, keys[2])), OneSecret(), pool)
    assert "hostname dev1" in session.ask("show running-config")
    assert session.prompt == "dev1#"
    session.close()


def test_pages_and_colours_are_taken_off(simulator: Simulator, device: DeviceSession) -> None:
    plain = device.ask("show running-config")
    Frr.pager = Frr.colours = True
    try:
        assert device.ask("show running-config").split() == plain.split()
    finally:
        Frr.pager = Frr.colours = False


def test_output_without_end_is_given_up(
    simulator: Simulator, device: DeviceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_module, "LONGEST_ANSWER", 1 << 18)
    Frr.endless = True
    try:
        with pytest.raises(Unreachable, match="prints without end"):
            device.ask("show endless", 20)
    finally:
        Frr.endless = False
    assert not device.usable()


@pytest.mark.parametrize("effect", [False, True])
def test_a_dead_path_ends_at_the_deadline(simulator: Simulator, device: DeviceSession, effect: bool) -> None:
    simulator.frozen.set()
    began = time.monotonic()
    kind = InDoubt if effect else Unreachable
    with pytest.raises(kind, match="no answer in time"):
        device.ask("show running-config", 0.5, effect=effect)
    assert time.monotonic() - began < 2.5
    simulator.frozen.clear()
    with pytest.raises(Unreachable, match="not sent"):
        device.ask("show running-config", effect=effect)


def test_a_lost_session_is_opened_again_for_reads_only(
    simulator: Simulator, tmp_path: Path, keys: tuple[paramiko.PKey, paramiko.PKey, Path], pool: ClientPool
) -> None:
    world = World(target(simulator, tmp_path, keys[2]), pool, tmp_path)
    found = connect(world.context())
    before = found.running()
    simulator.cut()
    assert found.running() == before
    simulator.frozen.set()
    with pytest.raises(InDoubt):
        connect(world.context(timeout=0.5)).do(["configure terminal"])
    simulator.frozen.clear()
    assert simulator.device.lines.count("configure terminal") <= 1


def test_a_command_is_one_line(device: DeviceSession) -> None:
    with pytest.raises(InputError, match="has one line"):
        device.ask("show version\nreload")


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("a\x1b[31mb\x1b[0mc", "abc"),
        ("\x1b]0;title\x07x", "x"),
        ("abcd\x08\x08xy", "abxy"),
        (" --More-- \r          \rnext", "next"),
        ("one\r\ntwo\x00\x9b", "one\ntwo"),
    ],
)
def test_clean(raw: str, plain: str) -> None:
    assert clean(raw) == plain
