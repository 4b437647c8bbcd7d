"""Host steps on the lab's real hosts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from remediate.adapters.checks import ask
from remediate.adapters.checks.certificate import CertificateIs
from remediate.adapters.checks.command import Command
from remediate.adapters.checks.files import FileIs
from remediate.adapters.checks.http import Http
from remediate.adapters.checks.service import ServiceIs
from remediate.adapters.hosts.backup import HostBackup
from remediate.adapters.hosts.client import HostClient
from remediate.adapters.hosts.command import RunCommand
from remediate.adapters.hosts.errors import HostKeyRefused, Unreachable
from remediate.adapters.hosts.file import File
from remediate.adapters.hosts.package import Package
from remediate.adapters.hosts.pool import PoolMember, PoolState
from remediate.adapters.hosts.service import Service, UnitState
from remediate.adapters.hosts.values import JobState
from remediate.errors import InDoubt, StepFailed
from remediate.lab.hosts import Hosts
from remediate.model.base import State, fingerprint
from remediate.model.step import Step, Verdict
from remediate.model.target import Target
from tests.adapters.hosts.pace import once, until
from tests.adapters.hosts.world import LAYOUT, LB1, World

pytestmark = pytest.mark.lab

CONF = "/etc/shop/shop.conf"


@pytest.fixture
def shop(web1: World, hosts: Hosts) -> Iterator[World]:
    """web1 with shop 1.0-1; put back afterwards whatever happened."""
    files = ("/etc/shop", "/etc/nginx/sites-available")
    step = HostBackup(packages={"shop": ""}, files=files, services=("shop", "nginx"))
    context = web1.context("fixture")
    context = replace(context, data=step.apply(context).data)
    before = step.observe(context)
    yield web1
    try:
        step.undo(context)
        assert step.observe(context) == before
    except BaseException:
        hosts.reset(lambda _: None, ["web1"])
        raise
    step.release(context)


def protected(world: World, step: Step) -> tuple[HostBackup, State, Callable[[], None]]:
    """The step's own backup, taken; the state before; and the way back."""
    (backup,) = step.protection()
    assert isinstance(backup, HostBackup)
    before = {**backup.observe(world.context("backup")), **step.observe(world.context())}
    data = backup.apply(world.context("backup")).data

    def undo() -> None:
        backup.undo(world.context("backup", data=data))
        assert {**backup.observe(world.context("backup")), **step.observe(world.context())} == before

    return backup, before, undo


def version(world: World) -> str:
    return world.client().query(["dpkg-query", "-W", "-f=${Version}", "shop"]).stdout


def test_a_package_goes_up_and_back(shop: World) -> None:
    step = Package(name="shop", version="1.1-1", services=("shop",))
    assert step.preview(shop.context()) == "upgrade shop: 1.0-1 -> 1.1-1\n"
    _, before, undo = protected(shop, step)
    assert f"file:{CONF}" in before, "a package's configuration files belong to it"
    assert step.probe(shop.context(before=before)).verdict is Verdict.NOT_APPLIED
    assert step.apply(shop.context()).summary == "installed shop 1.1-1"
    assert [check.ok for check in step.confirm(shop.context())] == [True]
    assert step.probe(shop.context(before=before)).verdict is Verdict.APPLIED
    assert not step.apply(shop.context(attempt=2)).changed
    health = Http(
        "http://{target.address}/healthz", json_has={"version": "1.1-1"}, within="10s", every="0.2s"
    )
    assert ask(health, shop.context()).ok
    undo()
    assert version(shop) == "1.0-1"
    assert ask(health.model_copy(update={"json_has": {"version": "1.0-1"}}), shop.context()).ok


def test_a_changed_configuration_file_survives_both_ways(shop: World) -> None:
    client = shop.client()
    mine = client.read(CONF) + b"# mine\n"
    client.write(CONF, mine, stage="t", mode="0640", owner="www-data")
    step = Package(name="shop", version="1.2-1", services=("shop",))
    _, before, undo = protected(shop, step)
    step.apply(shop.context())
    assert client.read(CONF) == mine, "what somebody changed stays"
    undo()
    assert client.read(CONF) == mine
    assert client.facts([f"file:{CONF}"])[f"file:{CONF}"] == before[f"file:{CONF}"]
    leftovers = client.query(["find", "/etc/shop"]).stdout.split()
    assert sorted(leftovers) == ["/etc/shop", CONF]


def unpack(client: HostClient) -> None:
    """Leave shop 1.1-1 half installed, as a killed dpkg does."""
    script = "cd /srv && apt-get download shop=1.1-1 && dpkg --unpack shop_1.1-1_all.deb && rm shop_*.deb"
    assert client.query(["sh", "-c", script]).ok


@pytest.mark.fault("hosts", "before", "half-applied", "done")
def test_a_package_manager_that_was_killed_is_settled_by_the_next_attempt(shop: World) -> None:
    client = shop.client()
    client.query(
        ["sh", "-c", "cd /var/tmp && apt-get download shop=1.1-1 && dpkg --unpack shop_1.1-1_all.deb"]
    )
    step = Package(name="shop", version="1.1-1")
    found = step.probe(shop.context())
    assert (found.verdict, "unpacked" in found.evidence) == (Verdict.PARTIAL, True)
    assert step.apply(shop.context(attempt=2)).changed
    assert [check.ok for check in step.confirm(shop.context())] == [True]


def test_a_half_done_package_is_put_back(shop: World) -> None:
    client = shop.client()
    step = Package(name="shop", version="1.1-1")
    _, _, undo = protected(shop, step)
    client.query(
        ["sh", "-c", "cd /var/tmp && apt-get download shop=1.1-1 && dpkg --unpack shop_1.1-1_all.deb"]
    )
    undo()
    assert version(shop) == "1.0-1"


def test_a_removed_package_comes_back(shop: World) -> None:
    client = shop.client()
    step = HostBackup(packages={"shop": ""}, services=("shop",))
    before = step.observe(shop.context())
    data = step.apply(shop.context()).data
    assert client.run(["dpkg", "--purge", "shop"], "purge", again=True).ok
    client.forget("purge")
    assert version(shop) == ""
    step.undo(shop.context(data=data))
    assert fingerprint(step.observe(shop.context())) == fingerprint(before)
    assert client.read(CONF)


def test_a_new_package_goes_away_again(shop: World, tmp_path: Path) -> None:
    client = shop.client()
    build = "/srv/remediate-test-deb"
    control = "Package: extra\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"
    client.place(build, {"kind": "directory", "mode": "0755", "uid": 0, "gid": 0}, 0)
    for folder in (f"{build}/DEBIAN", f"{build}/etc"):
        client.place(folder, {"kind": "directory", "mode": "0755", "uid": 0, "gid": 0}, 0)
    client.write(f"{build}/DEBIAN/control", control.encode(), stage="t")
    client.write(f"{build}/DEBIAN/conffiles", b"/etc/extra.conf\n", stage="t")
    client.write(f"{build}/etc/extra.conf", b"x\n", stage="t")
    files = ("/etc/extra.conf",)
    step = HostBackup(packages={"extra": ""}, files=files)
    before = step.observe(shop.context())
    data = step.apply(shop.context()).data
    assert client.query(["dpkg-deb", "--build", build, f"{build}.deb"]).ok
    assert client.run(["dpkg", "--install", f"{build}.deb"], "extra", again=True).ok
    assert step.observe(shop.context()) != before
    step.undo(shop.context(data=data))
    assert step.observe(shop.context()) == before
    client.query(["rm", "-r", build, f"{build}.deb"])
    client.forget("extra")


def test_a_version_that_nobody_has_is_refused_before_anything_changes(shop: World) -> None:
    for act in (HostBackup(packages={"shop": "9.9-9"}).apply, Package(name="shop", version="9.9-9").observe):
        with pytest.raises(StepFailed, match=r"9\.9-9"):
            act(shop.context())
    assert version(shop) == "1.0-1"


def test_no_way_back_is_no_backup(shop: World) -> None:
    client = shop.client()
    source, hidden = "/srv/apt/Packages", "/srv/apt/Packages.hidden"
    original = client.read(source)
    stanzas = original.decode().split("\n\n")
    without = "\n\n".join(stanza for stanza in stanzas if "Version: 1.0-1" not in stanza)
    try:
        client.write(source, without.encode(), stage="t")
        client.query(["apt-get", "-o", "Acquire::AllowInsecureRepositories=true", "update"])
        with pytest.raises(StepFailed, match=r"can't get shop 1\.0-1") as caught:
            HostBackup(packages={"shop": "1.1-1"}).apply(shop.context())
        assert "there is no way back" in caught.value.advice
    finally:
        client.write(source, original, stage="t")
        client.query(["apt-get", "update"])
        client.remove(hidden)


def test_apt_waits_for_another_apt(shop: World, hosts: Hosts) -> None:
    client = shop.client()
    lock = "open('/var/lib/dpkg/lock-frontend', 'w')"
    wait = "while not os.path.exists('/run/let-go'): time.sleep(0.05)"
    script = (
        f"import fcntl, os, time\nf = {lock}\nfcntl.lockf(f, fcntl.LOCK_EX)\nopen('/run/held', 'w')\n{wait}"
    )
    hold = ["python3", "-c", script]
    holder = threading.Thread(target=client.run, args=(hold, "holder"))
    holder.start()
    until(lambda: _exists(hosts, "/run/held"))
    timer = threading.Timer(2.0, hosts.exec, ("web1", ["sudo", "touch", "/run/let-go"]))
    began = time.monotonic()
    timer.start()
    try:
        Package(name="shop", version="1.1-1").apply(shop.context())
        assert time.monotonic() - began > 2.0, "it did not wait for the lock"
        assert version(shop) == "1.1-1"
    finally:
        timer.join()
        holder.join()
        hosts.exec("web1", ["sudo", "rm", "-f", "/run/held", "/run/let-go"])
        client.forget("holder")


def _exists(hosts: Hosts, path: str) -> bool:
    """Looked at past the connections of the test."""
    return hosts.exec("web1", ["test", "-e", path]).returncode == 0


def test_a_file_with_its_unit(shop: World) -> None:
    content = "banner = Hello\nworkers = 2\n"
    check = ("python3", "/usr/bin/shop", "--check-config")
    step = File(path=CONF, content=content, mode="0640", group="www-data", restart="shop", validated_by=check)
    _, before, undo = protected(shop, step)
    assert "+banner = Hello" in step.preview(shop.context())
    assert step.apply(shop.context()).summary == f"wrote {CONF}, restarted shop"
    assert step.probe(shop.context(before=before)).verdict is Verdict.APPLIED
    page = Http("http://{target.address}/", contains="Hello", within="10s", every="0.2s")
    assert ask(page, shop.context()).ok
    undo()
    assert ask(page.model_copy(update={"contains": "Welcome to the shop"}), shop.context()).ok


def test_a_unit_that_does_not_come_up_fails_the_step(shop: World) -> None:
    step = File(path=CONF, content="workers = none\n", restart="shop")
    _, _, undo = protected(shop, step)
    with pytest.raises(StepFailed, match="restart of shop ended with exit code") as caught:
        step.apply(shop.context())
    assert "journalctl -u shop" in caught.value.advice
    undo()
    assert ask(ServiceIs("shop"), shop.context()).ok


def test_a_service_is_stopped_disabled_and_put_back(shop: World) -> None:
    step = Service(name="shop", state=UnitState.STOPPED, enabled=False)
    before = step.observe(shop.context())
    step.apply(shop.context())
    assert step.observe(shop.context()) == {
        "service:shop": {"load": "loaded", "enabled": "disabled", "active": "inactive"}
    }
    assert [check.ok for check in step.confirm(shop.context())] == [True]
    assert step.probe(shop.context(before=before)).verdict is Verdict.APPLIED
    step.undo(shop.context(before=before))
    assert step.observe(shop.context()) == before


def test_a_unit_that_is_slow_to_start_is_waited_for(shop: World, hosts: Hosts) -> None:
    """A busy machine: longer than anybody who only looks at it would wait."""
    folder = "/run/systemd/system/shop.service.d"
    slow = f"mkdir {folder}; printf '[Service]\\nExecStartPre=/bin/sleep 11\\n' > {folder}/slow.conf"
    step = HostBackup(services=("shop",))
    data = step.apply(shop.context()).data
    begin = f"{slow}; systemctl daemon-reload; systemctl restart --no-block shop"
    try:
        assert hosts.exec("web1", ["sudo", "sh", "-c", begin]).returncode == 0
        assert step.undo(shop.context(data=data)).changed
    finally:
        hosts.exec("web1", ["sudo", "sh", "-c", f"rm -r {folder}; systemctl daemon-reload"])


def test_a_restart_is_decided_by_its_job(shop: World) -> None:
    step = Service(name="shop", state=UnitState.RESTARTED)
    context = shop.context(before=step.observe(shop.context()))
    assert step.probe(context).verdict is Verdict.NOT_APPLIED
    step.apply(context)
    assert step.probe(context).verdict is Verdict.APPLIED
    assert step.release(context).changed


def test_facts_of_units_hold_still(shop: World) -> None:
    client = shop.client()
    first = client.facts(["service:shop", "service:nginx.service", "service:no-such-unit"])
    client.run(["systemctl", "restart", "shop", "nginx"], "restart", again=True)
    assert client.facts(["service:shop", "service:nginx", "service:no-such-unit"]) == first
    client.forget("restart")


def test_the_pool(web1: World) -> None:
    drain = PoolMember(state=PoolState.DRAIN)
    ready = PoolMember(state=PoolState.READY, settle="10s")
    before = drain.observe(web1.context())
    assert before == {"pool:lb1/web/web1": {"admin": "ready"}}
    try:
        drain.apply(web1.context())
        assert [check.ok for check in drain.confirm(web1.context())] == [True]
        via = replace(web1.context(), target=LB1)
        served = {
            web1.client()
            .query(["curl", "-s", "-o", "/dev/null", "-w", "%header{x-served-by}", f"http://{LB1.address}/"])
            .stdout
            for _ in range(8)
        }
        assert "web1" not in served
        assert via.target.name == "lb1"
    finally:
        ready.apply(web1.context())
    assert [check.ok for check in ready.confirm(web1.context())] == [True]
    assert drain.observe(web1.context()) == before


def test_the_pool_refuses_to_lose_its_last_server(web1: World) -> None:
    with pytest.raises(StepFailed, match=r"only 1 of 2 servers would take the traffic"):
        PoolMember(state=PoolState.DRAIN, keep=2).apply(web1.context())
    assert PoolMember(state=PoolState.DRAIN).observe(web1.context()) == {
        "pool:lb1/web/web1": {"admin": "ready"}
    }


def test_checks_on_a_real_host(shop: World) -> None:
    context = shop.context()
    right = [
        Command(["dpkg-query", "-W", "-f=${Version}", "shop"], equals="1.0-1"),
        Command(["hostname"], equals="{target.name}"),
        ServiceIs("nginx", enabled=True),
        FileIs(CONF, mode="0644", owner="root", contains="banner"),
        FileIs("/etc/nothing", absent=True),
        Http("http://{target.address}/healthz", json_has={"status": "ok"}),
        Http("https://{target.address}/healthz", ca=f"{LAYOUT.ca}/ca.pem"),
        CertificateIs("{target.address}", not_expiring_within="1d"),
    ]
    wrong = [
        Command(["dpkg-query", "-W", "-f=${Version}", "shop"], equals="9"),
        Command(["false"]),
        ServiceIs("nginx", active=False),
        ServiceIs("no-such-unit"),
        FileIs(CONF, mode="0600"),
        Http("https://{target.address}/healthz"),
        CertificateIs("{target.address}", not_expiring_within="36500d"),
    ]
    assert [(r.title, r.actual) for r in (ask(c, context) for c in right) if not r.ok] == []
    assert [(r.title, r.actual) for r in (ask(c, context) for c in wrong) if r.ok] == []


def test_a_stranger_at_a_known_address_is_refused(web1: World, tmp_path: Path) -> None:
    lines = Path(str(web1.target.vars["remediate_known_hosts"])).read_text().splitlines()
    (key,) = [line.split(" ", 1)[1] for line in lines if LB1.address in line.split(" ")[0].split(",")]
    (tmp_path / "known").write_text(f"{web1.target.address} {key}\n")
    target = web1.target.model_copy(
        update={"vars": {**web1.target.vars, "remediate_known_hosts": str(tmp_path / "known")}}
    )
    with pytest.raises(HostKeyRefused, match="shows another host key"):
        HostBackup(files=("/etc/hosts",)).observe(
            web1.context(target=target.model_copy(update={"name": "x"}))
        )


@pytest.mark.fault("hosts", "late", "half-applied", "in doubt, probed: partial")
def test_a_cut_cable_is_in_doubt_and_then_decidable(web1: World, hosts: Hosts) -> None:
    wait = "touch /run/begun; while [ ! -e /run/go ]; do sleep 0.05; done"
    step = RunCommand(argv=("sh", "-c", f"{wait}; rm /run/begun /run/go; exit 6"))
    context = web1.context()
    client = web1.client()
    _short(client)
    try:
        began = time.monotonic()
        with (
            pytest.raises(InDoubt),
            once(lambda: _exists(hosts, "/run/begun"), partial(hosts.cut, "web1")),
        ):
            _run_impatiently(client, step, str(context.token))
        assert time.monotonic() - began < 12
        with pytest.raises(Unreachable):
            step.probe(replace(web1.context(), target=_impatient(web1)))
    finally:
        hosts.restore("web1")
    hosts.exec("web1", ["sudo", "touch", "/run/go"])
    until(lambda: _quiet(step, web1))
    assert web1.client().job_status(str(context.token)).state is JobState.ENDED
    found = step.probe(context)
    assert (found.verdict, "exit code 6" in found.evidence) == (Verdict.PARTIAL, True)


@pytest.mark.fault("hosts", "during", "vanished", "in doubt, probed: unknown, left to a human")
def test_after_a_boot_a_command_in_doubt_is_for_a_human(web1: World, hosts: Hosts) -> None:
    step = RunCommand(argv=("sh", "-c", "touch /run/begun; sleep 60"))
    context = web1.context()
    client = web1.client()
    try:
        with (
            pytest.raises(InDoubt),
            once(lambda: _exists(hosts, "/run/begun"), partial(hosts.power_off, "web1")),
        ):
            step.apply(replace(context, timeout=15.0))
    finally:
        hosts.power_on("web1")
    assert web1.client().boot != client.boot
    assert step.quiesce(context)
    found = step.probe(context)
    assert (found.verdict, found.evidence) == (
        Verdict.UNKNOWN,
        "the host was booted since, and its record of the command is gone",
    )


def _short(client: HostClient) -> None:
    client.timeout = 5.0


def _run_impatiently(client: HostClient, step: RunCommand, token: str) -> None:
    """As `HostClient.run`, with a deadline that a test can wait for."""
    fields = {
        "name": token,
        "token": token,
        "argv": list(step.argv),
        "env": {},
        "limit": 30.0,
        "again": False,
    }
    client.session.ask("launch", effect=True, seconds=5, fields={**fields, "wait": 4.0})
    client.session.ask("wait", effect=True, seconds=3, fields={"name": token, "limit": 2.0})


def _impatient(world: World) -> Target:
    return world.target.model_copy(
        update={"name": "web1-again", "vars": {**world.target.vars, "ansible_ssh_timeout": 2}}
    )


def _quiet(step: Step, world: World) -> bool:
    try:
        return step.quiesce(world.context())
    except StepFailed:
        return False
