"""The lab's routers: two sites, a primary and a backup link between them, and real traffic over both."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from remediate.lab import network, router_net
from remediate.lab.hosts import Hosts
from remediate.lab.router_config import DEAD
from remediate.lab.router_net import Wire, loopback, site_address

pytestmark = [pytest.mark.lab, pytest.mark.slow]

#: Seconds between two packets of a measurement.
PACE = 0.02
RELOAD = "/usr/lib/frr/frr-reload.py"


def quiet(_line: str) -> None:
    pass


def shown(hosts: Hosts, name: str, *argv: str, user: str = "") -> str:
    """What a command prints; it must succeed."""
    done = hosts.exec(name, argv, user=user)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def configure(hosts: Hosts, name: str, *lines: str) -> None:
    """Enter lines of configuration; they take effect at once."""
    words = [word for line in ("configure terminal", *lines) for word in ("-c", line)]
    assert shown(hosts, name, "vtysh", *words, user="netops") == ""


def until(true: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def web(hosts: Hosts) -> str:
    return site_address(hosts.layout, hosts.machine("web1").host)


def path(hosts: Hosts) -> list[str]:
    """The routers between desk1 and web1, by name."""
    names = {
        cable.address.partition("/")[0]: name
        for name in ("ra1", "rb1", "ra2", "rb2")
        for cable in router_net.cables(hosts.layout, hosts.machine(name).host)
    }
    hops = shown(hosts, "desk1", "traceroute", "-n", "-q", "1", "-w", "0.3", "-m", "8", web(hosts))
    found = re.findall(r"^ *\d+ +([0-9.]+|\*)", hops, re.MULTILINE)
    return [names.get(hop, hop) for hop in found if hop != web(hosts)]


def shop(hosts: Hosts) -> bool:
    """Whether the shop at the other site answers desk1."""
    return hosts.exec("desk1", ["curl", "-sfm", "1", f"http://{web(hosts)}/healthz"]).returncode == 0


def inband(hosts: Hosts, name: str) -> subprocess.CompletedProcess[str]:
    """Ask a router for its name under its loopback's address, where its key is known as well."""
    *command, _ = hosts.ssh(name)
    there = f"netops@{loopback(hosts.layout, hosts.machine(name).host)}"
    return subprocess.run(
        [*command, there, "hostname"], capture_output=True, text=True, timeout=20, check=False
    )


PRIMARY, BACKUP = ["ra1", "rb1"], ["ra1", "ra2", "rb2"]


@contextmanager
def outage(hosts: Hosts) -> Iterator[Callable[[], float]]:
    """Packets from desk1 to web1 all through the block; then tells for how many seconds they were lost."""
    # Ends with its standard input, also when this process dies.
    ping = f"timeout 60 stdbuf -oL ping -n -i {PACE} {web(hosts)} & read -r _; kill -INT $!; wait $!"
    pipe = subprocess.PIPE
    with subprocess.Popen([*hosts.ssh("desk1"), ping], stdin=pipe, stdout=pipe, text=True) as running:
        lost = 0.0
        assert running.stdout
        assert any("bytes from" in line for line in running.stdout)
        yield lambda: lost
        out, _ = running.communicate("\n", timeout=10)
    found = re.search(r"(\d+) packets transmitted, (\d+) received,.* time (\d+)ms", out)
    assert found
    sent, received, milliseconds = map(int, found.groups())
    lost = (sent - received) / sent * milliseconds / 1000


@pytest.fixture
def hosts(routed: Hosts) -> Iterator[Hosts]:
    """The routed lab; afterwards all links are whole again."""
    yield routed
    router_net.mend(routed.layout)
    until(lambda: path(routed) == PRIMARY)


@pytest.fixture
def edges(hosts: Hosts) -> Iterator[Hosts]:
    """The routed lab; afterwards ra1 and rb1 have their saved configuration again."""
    yield hosts
    load = ("sudo", RELOAD, "--reload", "/etc/frr/frr.conf")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: shown(hosts, name, *load, user="netops"), PRIMARY))


def test_neighbours_are_adjacent_and_every_router_is_reached_by_its_loopback(hosts: Hosts) -> None:
    found = json.loads(shown(hosts, "ra1", "show", "ip", "ospf", "neighbor", "json"))
    others = {hosts.machine(name).host for name in ("rb1", "ra2")}
    assert set(found["neighbors"]) == {loopback(hosts.layout, other) for other in others}
    assert all(state[0]["nbrState"].startswith("Full") for state in found["neighbors"].values())
    for name in ("ra1", "rb1", "ra2", "rb2"):
        assert inband(hosts, name).stdout == f"{name}\n"


def test_the_saved_configuration_is_the_one_that_runs(hosts: Hosts) -> None:
    for name in ("ra1", "rb2"):
        running = shown(hosts, name, "show", "running-config")
        saved = shown(hosts, name, "cat", "/etc/frr/frr.conf", user="netops")
        assert running.partition("!\n")[2].removesuffix("end").strip() == saved


def test_the_admins_shell_is_the_routers_own_and_netops_may_only_do_its_work(hosts: Hosts) -> None:
    assert "Unknown command" in hosts.exec("ra1", ["ls"]).stdout
    assert hosts.exec("ra1", ["true"], user="ops").returncode == 255
    unit = ("systemd-run", "--unit=remediate-1")
    load = (RELOAD, "--reload", "/etc/frr/frr.conf")
    forbidden = (
        ("id",),
        (RELOAD, "--reload", "--bindir", "/home/netops", "/etc/frr/frr.conf"),
        (*unit, "/usr/bin/id"),
        (*unit, "--property=ExecStartPre=/usr/bin/id", *load),
        ("systemd-run", "--unit=ssh", *load),
        ("systemctl", "stop", "remediate-1.timer", "ssh.service"),
    )
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda words: hosts.exec("ra1", ["sudo", "-n", *words], user="netops"), forbidden)
    assert ["password is required" in answer.stderr for answer in answers] == [True] * len(forbidden)


def test_a_router_takes_a_change_back_by_itself_unless_it_is_told_in_time(edges: Hosts) -> None:
    backup = "/home/netops/backup.conf"
    # What comes before the first comment is no configuration, and would be refused.
    running = shown(edges, "ra1", "show", "running-config").partition("!\n")[2]
    assert edges.exec("ra1", ["tee", backup], stdin=running, user="netops").returncode == 0
    for kept, seconds in ((False, 1), (True, 30)):
        unit = f"remediate-{seconds}"
        timer = ("--collect", f"--unit={unit}", f"--on-active={seconds}", "--timer-property=AccuracySec=10ms")
        shown(edges, "ra1", "sudo", "systemd-run", *timer, RELOAD, "--reload", backup, user="netops")
        configure(edges, "ra1", "interface eth2", "description changed")
        if kept:
            shown(edges, "ra1", "sudo", "systemctl", "stop", f"{unit}.timer", user="netops")
            assert "changed" in shown(edges, "ra1", "show", "running-config")
        else:
            until(lambda: "changed" not in shown(edges, "ra1", "show", "running-config"))


def test_traffic_between_the_sites_takes_the_primary_link(hosts: Hosts) -> None:
    assert path(hosts) == PRIMARY
    assert shop(hosts)


def test_a_cut_primary_link_moves_the_traffic_to_the_backup(hosts: Hosts) -> None:
    with outage(hosts) as seconds:
        hosts.cut_wire("primary")
        until(lambda: path(hosts) == BACKUP)
    assert shop(hosts)
    assert seconds() < 1
    hosts.mend_wire("primary")
    until(lambda: path(hosts) == PRIMARY)


def test_a_link_that_dies_silently_is_given_up_after_its_dead_time(hosts: Hosts) -> None:
    with outage(hosts) as seconds:
        hosts.cut_wire("primary", silent=True)
        until(lambda: path(hosts) == BACKUP)
    assert DEAD - 1.5 < seconds() < DEAD + 1


def test_a_higher_cost_moves_the_traffic_without_loss_and_back(edges: Hosts) -> None:
    with outage(edges) as seconds:
        for name in PRIMARY:
            configure(edges, name, "interface eth2", "ip ospf cost 1000")
        until(lambda: path(edges) == BACKUP)
        for name in PRIMARY:
            configure(edges, name, "interface eth2", "ip ospf cost 10")
        until(lambda: path(edges) == PRIMARY)
    assert seconds() < 0.5


def test_without_both_links_the_sites_are_apart(hosts: Hosts) -> None:
    wires: tuple[Wire, ...] = ("primary", "backup")
    for wire in wires:
        hosts.cut_wire(wire)
    until(lambda: not shop(hosts))
    for wire in wires:
        hosts.mend_wire(wire)
    until(lambda: shop(hosts))


def test_a_bad_route_on_an_edge_router_breaks_the_shop_and_the_way_to_mend_it(edges: Hosts) -> None:
    remote = edges.machine("rb1").host
    for address in (web(edges), loopback(edges.layout, remote)):
        configure(edges, "ra1", f"ip route {address}/32 reject")
    until(lambda: not shop(edges))
    assert inband(edges, "rb1").returncode == 255
    assert shown(edges, "rb1", "show", "version")


def test_without_power_nothing_is_forwarded_and_only_what_was_written_comes_back(hosts: Hosts) -> None:
    configure(hosts, "ra1", "interface eth1", "description written")
    assert "[OK]" in shown(hosts, "ra1", "write", "memory")
    configure(hosts, "ra1", "interface eth1", "description not written", "ip address 10.99.0.1/24")
    hosts.power_off("ra1")
    assert not shop(hosts)
    hosts.power_on("ra1")
    running = shown(hosts, "ra1", "show", "running-config")
    assert "description written" in running
    assert "not written" not in running
    assert "10.99.0.1" not in shown(hosts, "ra1", "ip", "address", user="netops")
    hosts.reset(quiet, ["ra1"])
    assert "description LAN of site A" in shown(hosts, "ra1", "show", "running-config")


def test_the_branchs_router_takes_a_change_back_unless_it_is_confirmed(hosts: Hosts) -> None:
    # BIRD corrects what it told its neighbours only after five seconds (RFC 2328, MinLSInterval).
    until(lambda: inband(hosts, "rc1").stdout == "rc1\n")
    birdc = ("sudo", "birdc")
    config = "/etc/bird/bird.conf"
    before = shown(hosts, "rc1", "cat", config)
    changed = before.replace("cost 10;", "cost 77;")
    for kept, seconds in ((False, "1"), (True, "30")):
        assert hosts.exec("rc1", ["tee", config], stdin=changed).returncode == 0
        assert "Reconfigured" in shown(hosts, "rc1", *birdc, "configure", "timeout", seconds)
        assert "Cost: 77" in shown(hosts, "rc1", *birdc, "show", "ospf", "interface")
        if kept:
            assert "Reconfiguration confirmed" in shown(hosts, "rc1", *birdc, "configure", "confirm")
        else:
            until(lambda: "Cost: 10" in shown(hosts, "rc1", *birdc, "show", "ospf", "interface"))
    hosts.reset(quiet, ["rc1"])


def test_up_mends_links_and_lost_cables(hosts: Hosts) -> None:
    inside = hosts.layout.link("rb2")
    subprocess.run(["ip", "-n", inside, "link", "del", "eth2"], check=True)
    hosts.cut_wire("primary", silent=True)
    hosts.power_off("ra1")
    hosts.up(quiet)
    until(lambda: path(hosts) == PRIMARY)
    hosts.cut_wire("primary")
    until(lambda: path(hosts) == BACKUP)


def test_down_takes_the_wires_away_and_the_machines_leg(routed: Hosts) -> None:
    """The last one, as it takes the lab down."""
    routed.down()
    prefix = routed.layout.prefix
    left = [path.name for folder in (network.LINKS, Path("/run/netns")) for path in folder.glob(f"{prefix}*")]
    assert left == []
    routes = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
    assert prefix not in routes
