"""What is compared: a change of any kind is seen, by its name, and what is volatile is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediate.adapters.hosts.whole import VOLATILE_FILES, VOLATILE_UNITS, WATCHED
from remediate.adapters.whole import READERS, Looking, load_readers
from remediate.model.proof import Difference
from remediate.service.planning import make_plan
from remediate.service.project import Project
from remediate.service.proof.looking import Whole
from tests.docs.blocks import DOCS, rows, section
from tests.e2e.world import FULL, World


def whole(place: World, runbook: str, *inputs: str, on: str, looking: Looking | None = None) -> Whole:
    """Of the hosts of a plan."""
    project = Project.open(place.root)
    plan = make_plan(project, runbook, ticket="T-1", settings=inputs, limit=on)
    return Whole(project, plan, looking or Looking())


def said(found: tuple[Difference, ...]) -> list[str]:
    """In the order of the names."""
    return [str(d) for d in found]


def test_every_technology_has_its_reader() -> None:
    """They are found in the folders of their technologies."""
    load_readers()
    assert {"host", "pool", "device", "database", "collection", "vm"} <= set(READERS)


def test_what_is_left_out_stands_in_the_documentation() -> None:
    """Nobody has to read the code to know what is not compared."""
    page = DOCS / "testing.md"
    listed = {r[0].strip("`") for r in rows(section(page, "What is compared"))}
    assert {*VOLATILE_FILES, *VOLATILE_UNITS} <= listed
    assert all(f"`{path}`" in page.read_text() for path in WATCHED)


@pytest.mark.lab
def test_a_host(place: World) -> None:
    """Files of each kind, packages, units; and the balancer of the pool, which is a host as well."""
    seen = whole(place, "right-undo", on="web1", looking=Looking(("/root",), ("file:/root/ignored*",)))
    before = seen.read()
    change = (
        "touch /etc/new /root/new /root/ignored-1; ln -s /nowhere /etc/link; mkfifo /etc/pipe; "
        "chmod 0700 /srv; apt-mark hold shop; systemctl disable shop; touch /tmp/new /etc/.pwd.lock; "
        "systemd-run --quiet --unit=remediate-left sleep 60; touch -d yesterday /etc/crontab"
    )
    back = (
        "rm -f /etc/new /root/new /root/ignored-1 /etc/link /etc/pipe /tmp/new; chmod 0755 /srv; "
        "apt-mark unhold shop; systemctl enable shop; systemctl stop remediate-left"
    )
    place.on("web1", "sudo", "sh", "-c", change)
    try:
        _, found = seen.compare(before)
    finally:
        place.on("web1", "sudo", "sh", "-c", back)
    assert [line.removeprefix("web1: ") for line in said(found)] == [
        "file:/etc/link: link absent → there",
        "file:/etc/new: file absent → there",
        "file:/etc/pipe: device or socket absent → there",
        "file:/etc/systemd/system/multi-user.target.wants/shop.service: link there → absent",
        "file:/root/new: file absent → there",
        "file:/srv: mode 0755 → 0700",
        "package:shop: state ii → hi",
        "unit:shop.service: enabled enabled → disabled",
    ]
    assert seen.compare(before)[1] == ()


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="REMEDIATE_FULL=1 has a lab of every technology")
def test_a_device(place: World) -> None:
    """A line of its configuration, and the route that it makes."""
    seen = whole(place, "block-range", "prefix=198.51.100.0/24", on="ra1")
    before = seen.read()
    assert any(k.startswith("config:router ospf / ") for k in before["ra1"])
    line = "ip route 203.0.113.0/24 blackhole"
    assert place.lab.exec("ra1", ["vtysh", "-c", "conf t", "-c", line], user="netops").returncode == 0
    _, found = seen.compare(before)
    undo = ["vtysh", "-c", "conf t", "-c", f"no {line}"]
    assert place.lab.exec("ra1", undo, user="netops").returncode == 0
    assert said(found) == [
        f"ra1: config:{line}: it absent → there",
        "ra1: route:203.0.113.0/24: it absent → there",
    ]
    assert seen.compare(before)[1] == ()


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="REMEDIATE_FULL=1 has a lab of every technology")
def test_a_database(place: World) -> None:
    """A row of a table that no step names, and a definition."""
    seen = whole(place, "add-index", "what=index", "table=transfers", "column=amount", on="db1")
    before = seen.read()
    sql = "UPDATE accounts SET balance = balance + 1 LIMIT 1; CREATE VIEW odd AS SELECT 1 AS one"
    place.on("db1", "sudo", "mariadb", "payments", "-e", sql)
    _, found = seen.compare(before)
    back = "UPDATE accounts SET balance = balance - 1 LIMIT 1; DROP VIEW odd"
    place.on("db1", "sudo", "mariadb", "payments", "-e", back)
    assert [line.rpartition(": ")[0] for line in said(found)] == [
        "db1: schema:payments/view odd",
        "db1: table:payments/accounts",
    ]
    assert seen.compare(before)[1] == ()


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="REMEDIATE_FULL=1 has a lab of every technology")
def test_a_machine(place: World, tmp_path: Path) -> None:
    """Power, hardware and snapshots are read."""
    inputs = ("cpus=2", "memory_mb=512", "package=shop", "version=1.1-1")
    before = whole(place, "resize-vm", *inputs, on="web1").read()["web1"]
    assert before["vm:power"] == "on"
    hardware = before["vm:hardware"]
    assert isinstance(hardware, dict)
    assert hardware
    assert not any(k.startswith("vm:snapshot ") for k in before)
