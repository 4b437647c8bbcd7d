"""The lab's database host and payment module: who gets in, by which way, and who does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.adapters.databases.engine import endpoint, engine_named
from remediate.lab import databases, payments, pool
from remediate.lab.hosts import Hosts
from remediate.lab.inventory import write_inventory
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from remediate.model.step import Context, Token
from remediate.model.target import Target
from tests.adapters.databases.servers import PrivateSecrets
from tests.e2e.conftest import quiet
from tests.e2e.world import FULL
from tests.payments.conftest import LAYOUT, TOTAL

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SPARE = Layout(Path("/var/lib/remediate-lab-pay2"), "rmpay2", "10.213.84")
_KNOCK = """
import sys, pymysql
pymysql.connect(host="db1", user="remediate", password=sys.stdin.read().strip())
"""


@pytest.fixture
def db1(lab: Hosts, tmp_path: Path) -> Iterator[Context]:
    """The database host, as the inventory of this lab describes it."""
    folder = write_inventory(tmp_path / "inventory", TOTAL, LAYOUT, databases=True)
    hosts = json.loads((folder / "hosts.yml").read_text())["all"]["children"]["db"]["hosts"]
    variables = json.loads((folder / "group_vars/all.yml").read_text()) | hosts["db1"]
    variables |= json.loads((folder / "group_vars/db.yml").read_text())
    clients = ClientPool()
    yield Context(
        target=Target(name="db1", address=hosts["db1"]["ansible_host"], user="ops", vars=variables),
        token=Token("test", "step", 1),
        clients=clients,
        secrets=PrivateSecrets(),
        artefacts=tmp_path,
        workspace=tmp_path,
        timeout=30.0,
    )
    clients.close()


@pytest.mark.parametrize(("name", "database"), [("mariadb", "payments"), ("postgres", "postgres")])
def test_both_servers_are_reached_through_ssh(db1: Context, name: str, database: str) -> None:
    driver = engine_named(name)
    with driver.open(endpoint(db1, name), database) as session:
        ((user,),) = session.rows("SELECT user()" if name == "mariadb" else "SELECT current_user")
    assert str(user).partition("@")[0] == databases.ADMIN


def test_nobody_else_gets_in(lab: Hosts, db1: Context) -> None:
    for account in (databases.ADMIN, databases.MODULE):
        assert databases.password_file(LAYOUT, account).stat().st_mode & 0o777 == 0o600
    hidden = {"web1": "/etc/payments/password", "db1": "/etc/lab/mariadb.sql"}
    for host, path in hidden.items():
        assert lab.exec(host, ["cat", path]).returncode != 0
        assert lab.exec(host, ["sudo", "stat", "-c", "%a %U", path]).stdout.split() == ["600", "root"]
    # The administrator's account is for the loopback alone.
    password = databases.password_file(LAYOUT, databases.ADMIN).read_text()
    done = lab.exec("web1", ["python3", "-c", _KNOCK], stdin=password)
    assert "Access denied" in done.stderr
    assert lab.exec("web1", ["curl", "--max-time", "2", "db1:5432"]).returncode == 7, "refused"


@pytest.mark.skipif(not FULL, reason="only with REMEDIATE_FULL=1")
def test_a_lab_that_runs_gets_databases_and_keeps_them() -> None:
    plain, more = Hosts(SPARE, 2), Hosts(SPARE, 2, databases=True)
    with locked(Path("/run/remediate-lab-pay2.lock"), quiet):
        try:
            plain.up(quiet)
            assert plain.names() == ("lb1", "web1")
            more.up(quiet)
            balancer = more.machine("lb1").address
            assert pool.states(balancer, backend=payments.BACKEND) == {"web1": "UP"}
            assert pool.states(balancer) == {"web1": "UP"}
            plain.reset(quiet, ["web1"])
            plain.up(quiet)
            assert plain.names() == ("lb1", "web1", "db1")
            assert pool.health(more.machine("web1").address, payments.PORT) == 200
        finally:
            plain.down()
            shutil.rmtree(SPARE.home, ignore_errors=True)
    assert plain.names() == ()
