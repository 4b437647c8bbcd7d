"""The fault matrix of databases: each engine behind a wire on which a statement or its answer goes wrong."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from remediate.adapters.databases import mariadb as mariadb_engine
from remediate.adapters.databases import postgres as postgres_engine
from remediate.adapters.databases.rows import Sql
from remediate.errors import StepFailed
from remediate.lab.command import run
from remediate.model.step import Verdict
from tests.adapters.databases.servers import DatabaseServer
from tests.adapters.databases.test_death import dies
from tests.adapters.databases.test_migration import columns, migration
from tests.adapters.databases.test_rows import fix
from tests.adapters.databases.world import World
from tests.reliability import passing
from tests.reliability.faults import Attempt, Truth, case, ending, nothing
from tests.reliability.passing import Fault, Wire

pytestmark = pytest.mark.lab

#: What is sent first in the transaction, what changes the rows, and what makes it last.
BEGIN = {"mariadb": b"START TRANSACTION", "postgres": b"BEGIN"}
UPDATE = {"mariadb": b"UPDATE `payment", "postgres": b'UPDATE "payment'}
COMMIT = {"mariadb": b"COMMIT", "postgres": b"COMMIT"}


@dataclass
class Scene:
    """A fix of rows behind the wire."""

    world: World
    wire: Wire
    seconds: float = 20.0
    given_up: Callable[[], object] = nothing
    at_last: Callable[[], object] = nothing

    def __post_init__(self) -> None:
        self.before = self.world.everything()

    def truth(self) -> Truth:
        if self.world.everything() == self.before:
            return Truth.OLD
        now = self.world.rows("SELECT id, state, amount FROM payment WHERE id IN (1, 2, 3) ORDER BY id")
        found = [(state, None if amount is None else f"{amount:.2f}") for _, state, amount in now]
        return (
            Truth.NEW if found == [("right", "112.34"), ("right", "212.34"), ("right", None)] else Truth.PART
        )

    def ends(self) -> str:
        server = self.world.server
        target = server.target(more={f"{server.engine}_port": self.wire.port})
        step = fix(self.world)
        attempt = Attempt(
            step,
            self.world.context(target=target, timeout=self.seconds),
            self.truth,
            lambda _: step.undo(self.world.undo()),
        )
        words = ending(attempt, self.afterwards, self.at_last)
        step.undo(self.world.undo())
        assert self.world.tables() == {"payment"}, "no mark stays"
        return words

    def kill(self) -> None:
        """The server dies at once; what PostgreSQL calls an immediate shutdown leaves no process behind."""
        mariadb = self.world.server.engine == "mariadb"
        self.world.server.stop(signal.SIGKILL if mariadb else signal.SIGQUIT)

    def afterwards(self) -> None:
        self.given_up()
        self.revive()

    def revive(self) -> None:
        """A server that died is started again."""
        if self.world.server.process is None:
            self.world.server.start()


@pytest.fixture
def scene(world: World) -> Iterator[Scene]:
    server = world.server
    with Wire((server.host, server.port)) as wire:
        made = Scene(world, wire)
        wire.kill = made.kill
        yield made
        made.revive()


def at(
    words: dict[str, bytes], request: Fault | None = None, answer: Fault | None = None, *, last: bool = False
) -> Callable[[Scene], None]:
    """A fault of one statement, or of its answer."""

    def make(scene: Scene) -> None:
        scene.wire.word = words[scene.world.server.engine]
        scene.wire.request, scene.wire.answer = request, answer
        scene.at_last = scene.wire.arrive if last else nothing
        if passing.swallowed in (request, answer) or request is passing.held:
            scene.seconds = 2.0

    return make


def late_and_killed(scene: Scene) -> None:
    """The server dies, and is back, before the statement comes."""
    at(COMMIT, passing.cut_and_held, last=True)(scene)
    scene.given_up = scene.kill


APPLIED, NOT, FAILED = "in doubt, probed: applied", "in doubt, probed: not-applied", "failed, nothing changed"
CASES = [
    case("databases", "before", "drop", FAILED, at(BEGIN, passing.lost)),
    case("databases", "before", "timeout", FAILED, at(BEGIN, passing.swallowed)),
    case("databases", "before", "truncated", FAILED, at(BEGIN, passing.halved)),
    case("databases", "before", "vanished", FAILED, at(BEGIN, passing.killed)),
    case("databases", "during", "drop", FAILED, at(UPDATE, answer=passing.lost)),
    case("databases", "during", "timeout", FAILED, at(UPDATE, answer=passing.swallowed)),
    case("databases", "during", "truncated", FAILED, at(UPDATE, answer=passing.halved)),
    case("databases", "during", "vanished", FAILED, at(UPDATE, answer=passing.killed)),
    case("databases", "after", "drop", APPLIED, at(COMMIT, answer=passing.lost)),
    case("databases", "after", "timeout", APPLIED, at(COMMIT, answer=passing.swallowed)),
    case("databases", "after", "truncated", APPLIED, at(COMMIT, answer=passing.halved)),
    case("databases", "after", "duplicate", "done", at(COMMIT, answer=passing.twice)),
    case("databases", "after", "vanished", APPLIED, at(COMMIT, answer=passing.killed)),
    case("databases", "late", "drop", NOT, at(COMMIT, passing.cut_and_held, last=True)),
    case("databases", "late", "timeout", NOT, at(COMMIT, passing.held, last=True)),
    case("databases", "late", "vanished", NOT, late_and_killed),
]


@pytest.mark.parametrize(("make", "outcome"), CASES)
def test_a_fix(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, make: Callable[[Scene], None], outcome: str
) -> None:
    for engine in (mariadb_engine, postgres_engine):
        monkeypatch.setattr(engine, "SLACK", 1.0)
    make(scene)
    assert scene.ends() == outcome


@pytest.fixture
def small(server: DatabaseServer) -> Iterator[Path]:
    """A disk of a megabyte, where the server can reach it."""
    folder = server.folder / "small"
    folder.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "faults", folder)
    yield folder
    run("umount", "--lazy", folder)


def fill(folder: Path) -> None:
    """Whatever is written there now finds no room."""
    with (folder / "full").open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(b"x" * 4096):
            pass


@pytest.mark.fault("databases", "before", "disk full", FAILED)
def test_no_room_for_the_rows_of_before(world: World, small: Path) -> None:
    """They are kept before the commit."""
    step, before = fix(world), world.everything()
    there = replace(world, folder=small)
    context = there.context()
    fill(small)

    def truth() -> Truth:
        return Truth.OLD if world.everything() == before else Truth.NEW

    assert ending(Attempt(step, context, truth, lambda _: None)) == FAILED


@pytest.mark.fault("databases", "before", "half-applied", "done")
def test_half_a_migration_is_completed_by_the_next_attempt(world: World) -> None:
    step, facts = migration(world), migration(world).observe(world.context())
    dies(world, step, "do", "after", 4)
    assert step.quiesce(world.context())
    step.apply(world.context(attempt=2))
    assert all(check.ok for check in step.confirm(world.context(attempt=2)))
    assert "note" in columns(world)
    step.undo(world.undo())
    assert step.observe(world.context()) == facts


@pytest.mark.fault("databases", "during", "duplicate", "done once; the other failed")
def test_one_attempt_twice_at_once(world: World) -> None:
    """As when two processes believe that they run the same plan."""
    step, before = fix(world, lock_wait=10), world.everything()
    together = threading.Barrier(2)

    def attempt(_: int) -> str:
        together.wait(10)
        try:
            return step.apply(world.context()).summary
        except StepFailed as error:
            return error.problem

    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(attempt, range(2)))
    assert sorted("changed 3 rows" in one for one in said) == [False, True], said
    assert str(world.rows("SELECT amount FROM payment WHERE id = 1")[0][0]) == "112.3400", "not twice"
    step.undo(world.undo())
    assert world.everything() == before


@pytest.fixture
def apart(world: World, small: Path) -> Iterator[Path]:
    """The table lies on a disk of its own; gone before the disk is."""
    if world.server.engine == "mariadb":
        shutil.chown(small, "mysql")
        with world.server.open(world.database) as session:
            kind = session.rows("SHOW CREATE TABLE payment")[0][1]
            session.do("RENAME TABLE payment TO elsewhere")
            session.do(f"{kind} DATA DIRECTORY='{small}'")
            names = [c.name for c in world.server.driver.columns(session, "payment") if not c.computed]
            listed = ", ".join(names)
            session.do(f"INSERT INTO payment ({listed}) SELECT {listed} FROM elsewhere")  # noqa: S608
            session.do("DROP TABLE elsewhere")
        yield small
        world.sql("DROP TABLE payment")
        return
    shutil.chown(small, "postgres")
    space = f"s{world.database}"
    world.sql(f"CREATE TABLESPACE {space} LOCATION '{small}'", f"ALTER TABLE payment SET TABLESPACE {space}")
    yield small
    world.sql("DROP TABLE payment", f"DROP TABLESPACE {space}")


@pytest.mark.fault("databases", "during", "disk full", FAILED)
def test_no_room_in_the_database(world: World, apart: Path) -> None:
    """The server notices it in the middle of the transaction."""
    world.sql("ALTER TABLE payment ADD COLUMN story text")
    more = ", ".join(f"({number}, 'wrong')" for number in range(100, 140))
    world.sql(f"INSERT INTO payment (id, state) VALUES {more}")  # noqa: S608
    story = Sql("repeat(md5(cast(id as char(9))), 1500)")
    step, before = fix(world, set={"story": story}, expects=43), world.everything()
    fill(apart)
    with pytest.raises(StepFailed, match=r"is full|No space left"):
        step.apply(world.context())
    assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED
    assert world.everything() == before
