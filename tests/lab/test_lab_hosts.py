"""The lab's hosts as a user meets them: names, keys, pool, packages, power and cables."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta

import pytest

from remediate.lab import pool
from remediate.lab.hosts import Hosts
from remediate.lab.interface import Item

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SETTINGS = "/etc/shop/shop.conf"


def quiet(_line: str) -> None:
    pass


def shown(hosts: Hosts, name: str, *argv: str) -> str:
    """What a command prints on a host; it must succeed."""
    done = hosts.exec(name, argv)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def version(hosts: Hosts, name: str) -> str:
    return shown(hosts, name, "dpkg-query", "-W", "-f=${Version}", "shop")


def install(hosts: Hosts, name: str, wanted: str) -> None:
    shown(hosts, name, "sudo", "apt-get", "install", "--yes", "--allow-downgrades", f"shop={wanted}")


def served_by(hosts: Hosts, requests: int = 12) -> set[str]:
    """Which servers of the pool answer."""
    url = f"http://{hosts.machine('lb1').address}/"
    found = set()
    for _ in range(requests):
        with urllib.request.urlopen(url, timeout=5) as answer:
            found.add(answer.headers["X-Served-By"])
    return found


def set_state(hosts: Hosts, server: str, state: str) -> None:
    command = f"set server web/{server} state {state}\n"
    done = hosts.exec("lb1", ["sudo", "socat", "-", "/run/haproxy/admin.sock"], stdin=command)
    assert done.stdout.strip() == ""


def wait_for(state: str, hosts: Hosts, server: str) -> None:
    deadline = time.monotonic() + 10
    while pool.states(hosts.machine("lb1").address)[server] != state:
        assert time.monotonic() < deadline, pool.states(hosts.machine("lb1").address)
        time.sleep(0.05)


def boot_id(hosts: Hosts, name: str) -> str:
    # Kernel-wide ids don't change when a container reboots; the time at which its first process began does.
    return shown(hosts, name, "stat", "--format=%Y.%y", "/proc/1")


def test_each_host_answers_with_its_own_name_and_key(hosts: Hosts) -> None:
    assert {name: shown(hosts, name, "hostname") for name in hosts.names()} == {
        name: name for name in ("lb1", "web1", "web2", "web3")
    }
    assert shown(hosts, "web1", "sudo", "id", "-un") == "root"
    assert shown(hosts, "web1", "systemctl", "is-system-running") == "running"


def test_a_host_with_another_hosts_key_is_refused(hosts: Hosts) -> None:
    command = hosts.ssh("web1")
    wrong = [*command[:-1], "-o", "HostKeyAlias=web2", command[-1], "true"]
    done = subprocess.run(wrong, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_many_sessions_over_one_connection_and_at_once(hosts: Hosts) -> None:
    started = [subprocess.Popen([*hosts.ssh("web1"), "true"], stdin=subprocess.DEVNULL) for _ in range(30)]
    assert [process.wait(30) for process in started] == [0] * 30


def test_the_pool_serves_from_every_web_host(hosts: Hosts) -> None:
    assert served_by(hosts) == {"web1", "web2", "web3"}
    with urllib.request.urlopen(f"http://{hosts.machine('lb1').address}/healthz", timeout=5) as answer:
        assert json.load(answer) == {"status": "ok", "version": "1.0-1"}


def test_drain_takes_a_server_out_of_the_pool_and_ready_brings_it_back(hosts: Hosts) -> None:
    set_state(hosts, "web1", "drain")
    wait_for("DRAIN", hosts, "web1")
    assert served_by(hosts) == {"web2", "web3"}
    set_state(hosts, "web1", "ready")
    wait_for("UP", hosts, "web1")
    assert served_by(hosts) == {"web1", "web2", "web3"}


def test_upgrade_and_downgrade_change_one_host_only(hosts: Hosts) -> None:
    install(hosts, "web1", "1.1-1")
    assert [version(hosts, name) for name in ("web1", "web2")] == ["1.1-1", "1.0-1"]
    health = shown(hosts, "web1", "curl", "--silent", "--fail", "http://localhost/healthz")
    assert json.loads(health) == {"status": "ok", "version": "1.1-1"}
    install(hosts, "web1", "1.0-1")
    assert [version(hosts, name) for name in ("web1", "web2")] == ["1.0-1", "1.0-1"]


def test_version_1_2_fails_on_the_host_with_the_old_setting_only(hosts: Hosts) -> None:
    for name in ("web2", "web3"):
        install(hosts, name, "1.2-1")
    assert pool.health(hosts.machine("web2").address) == 200
    assert pool.health(hosts.machine("web3").address) == 500
    wait_for("DOWN", hosts, "web3")
    assert served_by(hosts) == {"web1", "web2"}
    install(hosts, "web3", "1.0-1")
    wait_for("UP", hosts, "web3")


def test_wrong_settings_are_refused(hosts: Hosts) -> None:
    shown(hosts, "web1", "sudo", "sed", "-i", "s/^workers.*/workers = many/", SETTINGS)
    checked = hosts.exec("web1", ["shop", "--check-config"])
    assert checked.returncode != 0
    assert "workers is not a number" in checked.stderr
    assert hosts.exec("web1", ["sudo", "systemctl", "restart", "shop"]).returncode != 0
    assert pool.health(hosts.machine("web1").address) == 502


def test_the_banner_is_served(hosts: Hosts) -> None:
    shown(hosts, "web1", "sudo", "sed", "-i", "s/^banner.*/banner = Sale today/", SETTINGS)
    shown(hosts, "web1", "sudo", "systemctl", "restart", "shop")
    assert "Sale today" in shown(hosts, "web1", "curl", "--silent", "--fail", "http://localhost/")


def test_certificates_are_the_labs_and_end_soon(hosts: Hosts) -> None:
    trust = ssl.create_default_context(cafile=str(hosts.layout.ca / "ca.pem"))
    address = hosts.machine("web1").address
    with (
        socket.create_connection((address, 443), 5) as plain,
        trust.wrap_socket(plain, server_hostname="web1") as by_name,
    ):
        certificate = by_name.getpeercert()
    assert certificate is not None
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])))
    assert timedelta(days=19) < ends - datetime.now() < timedelta(days=21)
    with urllib.request.urlopen(f"https://{address}/healthz", context=trust, timeout=5) as by_address:
        assert by_address.status == 200
    with socket.create_connection((address, 443), 5) as plain, pytest.raises(ssl.SSLCertVerificationError):
        trust.wrap_socket(plain, server_hostname="web2")


def test_reset_of_one_host_restores_it_and_leaves_the_rest(hosts: Hosts) -> None:
    for name in ("web1", "web2"):
        install(hosts, name, "1.1-1")
        shown(hosts, name, "sudo", "touch", "/etc/mark")
    shown(hosts, "web1", "sudo", "rm", SETTINGS)
    began = time.monotonic()
    hosts.reset(quiet, ["web1"])
    assert time.monotonic() - began < 15
    assert version(hosts, "web1") == "1.0-1"
    assert hosts.exec("web1", ["ls", "/etc/mark"]).returncode == 2
    assert hosts.exec("web1", ["ls", SETTINGS]).returncode == 0
    assert version(hosts, "web2") == "1.1-1"
    assert hosts.exec("web2", ["ls", "/etc/mark"]).returncode == 0


def test_a_cut_cable_gives_silence_and_a_plugged_one_brings_the_host_back(hosts: Hosts) -> None:
    address = hosts.machine("web1").address
    hosts.cut("web1")
    with pytest.raises(TimeoutError):
        socket.create_connection((address, 22), 1)
    assert [item.state for item in hosts.status()] == ["up", "broken", "up", "up"]
    hosts.restore("web1")
    assert shown(hosts, "web1", "hostname") == "web1"


def test_up_plugs_a_cut_cable_in_again(hosts: Hosts) -> None:
    hosts.cut("web1")
    hosts.up(quiet)
    assert shown(hosts, "web1", "hostname") == "web1"


def test_a_host_without_power_refuses_and_keeps_its_disk(hosts: Hosts) -> None:
    shown(hosts, "web1", "sudo", "touch", "/etc/mark")
    hosts.power_off("web1")
    machine = hosts.machine("web1")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((machine.address, 22), 2)
    assert hosts.status()[1] == Item("web1", machine.address, "down", "no power")
    hosts.power_on("web1")
    assert shown(hosts, "web1", "ls", "/etc/mark") == "/etc/mark"


def test_a_reboot_from_inside_comes_back_with_its_disk(hosts: Hosts) -> None:
    install(hosts, "web1", "1.1-1")
    before = boot_id(hosts, "web1")
    hosts.exec("web1", ["sudo", "systemctl", "reboot"])
    deadline = time.monotonic() + 30
    while hosts.exec("web1", ["true"]).returncode or boot_id(hosts, "web1") == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert version(hosts, "web1") == "1.1-1"
    assert pool.health(hosts.machine("web1").address) == 200


def test_a_poweroff_from_inside_is_seen(hosts: Hosts) -> None:
    hosts.exec("web1", ["sudo", "systemctl", "poweroff"])
    deadline = time.monotonic() + 30
    while hosts.machine("web1").on():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    hosts.up(quiet)
    assert shown(hosts, "web1", "hostname") == "web1"


def test_up_of_a_running_lab_changes_nothing(hosts: Hosts) -> None:
    before = [boot_id(hosts, name) for name in hosts.names()]
    said: list[str] = []
    hosts.up(said.append)
    assert said == []
    assert [boot_id(hosts, name) for name in hosts.names()] == before
    assert {item.state for item in hosts.status()} == {"up"}
