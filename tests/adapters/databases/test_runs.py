"""The runbooks over databases by the real command line: forward, undone, and broken by a failing check."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
from tests.adapters.databases.servers import DatabaseServer
from tests.e2e.conftest import people
from tests.e2e.world import FULL, REPO, World, temporary

pytestmark = [pytest.mark.lab, pytest.mark.slow]

TRANSFERS = "CREATE TABLE transfers (id int PRIMARY KEY, payee int, amount decimal(12, 2), note varchar(40))"
ROWS = ", ".join(f"({n}, {n % 7}, {n * (100 if 20 <= n < 30 else 1)}, 'Zo\u00eb''s')" for n in range(1, 101))
#: Of the right amounts 20 to 29.
TOTAL = sum(range(20, 30))
WRONG = ("first=20", "last=29", "limit=2000", "expects=10")


def on(engine: str, *more: str) -> pytest.MarkDecorator:
    """Run it on this engine; in the full lane on both."""
    return pytest.mark.parametrize(
        "server", ["mariadb", "postgres"] if FULL else [engine, *more], indirect=True
    )


class Payments(World):
    """A project whose only target is a private database server."""

    server: DatabaseServer
    database: str

    def fill(self, *, ticket: str = "T-1") -> None:
        """The runbooks, the inventory, people, settings and one ticket."""
        (self.root / "runbooks").mkdir()
        for name in ("fix_rows.py", "add_index.py"):
            shutil.copy(REPO / "runbooks" / name, self.root / "runbooks")
        hosts = {"db1": {"ansible_host": self.server.host, **self.server.variables()}}
        (self.root / "inventory").mkdir()
        (self.root / "inventory/hosts.yml").write_text(
            json.dumps({"all": {"children": {"db": {"hosts": hosts}}}})
        )
        people(self.lab.layout.home / "people")
        self.configure()
        self.file_ticket(ticket)

    def everything(self) -> tuple[list[tuple[object, ...]], dict[str, str]]:
        """Rows and definitions."""
        with self.server.open(self.database) as session:
            found = session.rows("SELECT * FROM transfers ORDER BY id")
            return found, self.server.driver.schema(session)

    def planned(self, runbook: str, *inputs: str) -> str:
        """Planned and approved; the plan's text."""
        own = (f"engine={self.server.engine}", f"database={self.database}")
        file = self.plan(runbook, *inputs, *own)
        self.approve(file)
        return file.read_text()


@pytest.fixture
def project(server: DatabaseServer, tmp_path: Path) -> Iterator[Payments]:
    """A table with a hundred transfers, ten of them a hundred times too high."""
    layout = Layout(tmp_path / "lab", "rmdb", "10.213.99")
    fill = f"INSERT INTO transfers VALUES {ROWS}"  # noqa: S608 - ours
    with server.database(TRANSFERS, fill) as name:
        made = Payments(Hosts(layout), tmp_path / "project", temporary())
        made.server, made.database = server, name
        made.root.mkdir()
        (made.lab.layout.home / "people").mkdir(parents=True)
        made.fill()
        try:
            yield made
        finally:
            made.end()


@on("mariadb")
def test_rows_are_fixed_and_put_back(project: Payments) -> None:
    before = project.everything()
    shown = project.planned("fix-rows", *WRONG, f"total={TOTAL}")
    assert "10 rows of transfers" in shown
    assert "-id='20' amount='2000.00'" in shown
    assert project.everything() == before
    project.cli("run", "fix.plan.json").expect(0)
    with project.server.open(project.database) as session:
        found = session.rows("SELECT amount FROM transfers WHERE id = 25")
    assert found == [(Decimal("25.00"),)]
    project.cli("rollback", "last").expect(4)
    assert project.everything() == before
    assert project.finals() == {"db1": "verified-original"}


@pytest.mark.skipif(not FULL, reason="the other runbook is broken by a check, too")
@on("mariadb")
def test_a_wrong_total_takes_all_rows_back(project: Payments) -> None:
    before = project.everything()
    project.planned("fix-rows", *WRONG, f"total={TOTAL + 1}")
    done = project.cli("run", "fix.plan.json").expect(4)
    assert "sum(amount)" in done.out
    assert project.finals() == {"db1": "verified-original"}
    assert project.everything() == before


@pytest.mark.skipif(not FULL, reason="the step's own tests show it, too")
@on("postgres")
def test_a_row_that_somebody_changed_needs_a_human(project: Payments) -> None:
    project.planned("fix-rows", *WRONG, f"total={TOTAL}")
    project.cli("run", "fix.plan.json").expect(0)
    with project.server.open(project.database) as session:
        session.do("UPDATE transfers SET amount = 7 WHERE id = 21")
    done = project.cli("rollback", "last").expect(5)
    assert "id='21' holds amount='7.00'" in done.out + project.ticket_log()
    with project.server.open(project.database) as session:
        found = session.rows("SELECT amount FROM transfers WHERE id IN (21, 22) ORDER BY id")
    assert found == [(Decimal("7.00"),), (Decimal("2200.00"),)]


@on("postgres")
def test_not_as_many_as_expected_is_no_plan(project: Payments) -> None:
    words = ["plan", "fix-rows", "--ticket", "T-1", "-o", "x.json"]
    own = (f"engine={project.server.engine}", f"database={project.database}", "expects=9")
    for value in (*WRONG[:3], f"total={TOTAL}", *own):
        words += ["--set", value]
    done = project.cli(*words)
    assert done.code != 0
    assert "10 rows of transfers match, not 9" in done.said


@pytest.mark.skipif(not FULL, reason="the next one goes forward and back, too")
@pytest.mark.parametrize("what", ["index", "column"])
@on("postgres")
def test_an_index_or_column_is_added_and_dropped_again(project: Payments, what: str) -> None:
    before = project.everything()
    column = "payee" if what == "index" else "reference"
    project.planned("add-index", f"what={what}", "table=transfers", f"column={column}")
    project.cli("run", "fix.plan.json").expect(0)
    assert project.everything() != before
    project.cli("rollback", "last").expect(4)
    assert project.everything() == before


@on("postgres")
def test_an_index_that_does_not_show_goes_back(project: Payments) -> None:
    before = project.everything()
    project.edit("runbooks/add_index.py", lambda text: text.replace("expect=1,", "expect=2,"))
    project.planned("add-index", "what=index", "table=transfers", "column=payee")
    project.cli("run", "fix.plan.json").expect(4)
    assert project.finals() == {"db1": "verified-original"}
    assert project.everything() == before
