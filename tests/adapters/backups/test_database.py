"""DatabaseBackup over both engines: consistent, proved, private, put back without losing others' writes."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from remediate.adapters.ansible import processes
from remediate.adapters.backups import proof
from remediate.adapters.backups import store as backup_store
from remediate.adapters.backups.content import differences, digests, look
from remediate.adapters.backups.manifest import Content, vault_of
from remediate.adapters.databases.dumps import scratch
from remediate.adapters.databases.dumps.interface import Job, dumper_named
from remediate.adapters.databases.dumps.program import Command, Program
from remediate.adapters.databases.engine import Engine, Session
from remediate.errors import StepFailed
from remediate.model.step import Level, Verdict
from tests.adapters.backups.world import ACCOUNTS, START, SUM, World
from tests.adapters.databases.servers import PASSWORD, DatabaseServer

pytestmark = pytest.mark.lab


def test_a_backup_is_restored_before_it_counts(world: World) -> None:
    step = world.step(queries=(SUM, "SELECT COUNT(*) FROM rich"))
    facts = step.observe(world.context())
    assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED
    done = step.apply(world.context())
    assert "the stored bytes were restored in" in done.summary
    assert "the answers to 2 queries are the same" in done.summary
    assert step.probe(world.context(done.data)).verdict is Verdict.APPLIED
    assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED, (
        "a digest that nobody noted vouches for nothing"
    )
    assert step.observe(world.context()) == facts
    assert step.quiesce(world.context(done.data))
    manifest = world.manifest(done)
    assert manifest.level is Level.RESTORED
    assert manifest.restore_seconds == done.data["undo_seconds"] != 0
    content = Content.model_validate(manifest.data["content"])
    assert content.tables["account"].rows == ACCOUNTS
    assert content.answers[SUM] == [[str(ACCOUNTS * START)]]
    assert "balance" not in str(facts)
    for path in vault_of(world.context()).folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert step.release(world.context(done.data)).changed


def test_it_is_consistent_while_others_write(world: World) -> None:
    with world.moving_money() as moved:
        while min(moved) < 5:
            time.sleep(0.01)
        before = sum(moved)
        done = world.backed_up(queries=(SUM,))
        assert sum(moved) > before, "nobody was kept from writing for long"
    content = Content.model_validate(world.manifest(done).data["content"])
    assert content.answers[SUM] == [[str(ACCOUNTS * START)]]


#: A program tells what others can see of it before it begins: afterwards it may have ended already.
_TELLING = 'cat /proc/$$/cmdline /proc/$$/environ > "$0"; exec "$@"'


def test_the_password_is_on_no_command_line(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, count = Program.__init__, itertools.count()

    def telling(self: Program, command: Command, *rest: Any) -> None:
        argv = ("sh", "-c", _TELLING, str(tmp_path / f"seen-{next(count)}"), *command.argv)
        start(self, replace(command, argv=argv), *rest)
        self.name = Path(command.argv[0]).name

    monkeypatch.setattr(Program, "__init__", telling)
    world.backed_up()
    seen = [path.read_bytes() for path in tmp_path.glob("seen-*")]
    (dump,) = [text for text in seen if b"--single-transaction" in text or b"--snapshot=" in text]
    assert b"REMEDIATE_TOKEN=run-" in dump
    assert not any(PASSWORD.encode() in text for text in seen)


def test_an_encrypted_backup_needs_its_key(world: World) -> None:
    identity = pyrage.x25519.Identity.generate()
    key = world.folder / "key"
    key.write_text(f"# a key\n{identity}\n")
    world.variables = {
        "remediate_backup_recipients": [str(identity.to_public())],
        "remediate_backup_identity": f"file:{key}",
    }
    done = world.backed_up()
    assert ", encrypted" in done.summary
    assert world.dump.read_bytes().startswith(b"age-encryption.org/v1")
    key.write_text(str(pyrage.x25519.Identity.generate()))
    world.do("DROP TABLE payment")
    with pytest.raises(StepFailed, match="can't be unpacked"):
        world.undo(done)


def damages(data: bytes) -> Iterator[bytes | None]:
    """A flipped bit, a lost end, and no file at all."""
    yield data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    yield data[:-7]
    yield None


def test_a_damaged_backup_is_not_used(world: World) -> None:
    done = world.backed_up()
    file = world.dump
    world.do("DROP TABLE payment")
    for damaged in damages(file.read_bytes()):
        if damaged is None:
            file.unlink()
        else:
            file.write_bytes(damaged)
        for use in (lambda: world.step().confirm(world.context(done.data)), lambda: world.undo(done)):
            with pytest.raises(StepFailed, match=str(file)):
                use()
    assert "table payment" not in world.schema(), "nothing was begun"


def test_an_empty_database_is_no_backup(world: World, server: DatabaseServer) -> None:
    for statements, why in (
        ((), "has no tables"),
        (("CREATE TABLE t (id integer)",), "has no rows in any table"),
    ):
        with server.database(*statements) as empty, pytest.raises(StepFailed, match=why):
            world.step(database=empty).apply(world.context())
    with server.database("CREATE TABLE t (id integer)") as empty:
        assert world.step(database=empty, may_be_empty=True).apply(world.context()).data["rows"] == 0


def test_the_dump_is_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    listen = Program._listen

    def kill(self: Program) -> None:
        self._kill()
        listen(self)

    monkeypatch.setattr(Program, "_listen", kill)
    with pytest.raises(StepFailed, match="was killed by signal 9"):
        world.step().apply(world.context())
    assert not list(vault_of(world.context()).folder.iterdir())
    assert world.step().quiesce(world.context())


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A real one that runs full."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk(world: World) -> None:
    world.do("CREATE TABLE large (id integer PRIMARY KEY, x varchar(4000))")
    with world.server.open(world.database) as session:
        for number in range(50):
            session.do("INSERT INTO large VALUES (%s, %s)", (number, os.urandom(1800).hex()))
    with small_disk(world.folder / "workspace", 64), pytest.raises(StepFailed, match="No space left") as full:
        world.step().apply(world.context())
    assert "dump." in full.value.problem


def test_a_restore_that_fails_is_no_backup(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(folder: Path, stored: object, to: object, identity: str) -> None:
        assert callable(to)
        to(b"this is no dump;\n")

    monkeypatch.setattr(proof, "pour", cut)
    with pytest.raises(StepFailed, match=r"mariadb|pg_restore"):
        world.step().apply(world.context())
    assert not vault_of(world.context()).sealed()


def test_a_copy_that_differs_is_no_backup(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    original = proof.load

    def load(dumper: object, copy: proof.Copy, *args: object) -> float:
        took: float = original(dumper, copy, *args)  # type: ignore[arg-type]
        with world.server.driver.open(copy.place, copy.database) as session:
            session.do("UPDATE account SET balance = balance + 1 WHERE id = 3")
            session.do("DELETE FROM payment WHERE id = 2")
        return took

    monkeypatch.setattr(proof, "load", load)
    with pytest.raises(StepFailed, match="table payment: 2 rows became 1") as differs:
        world.step(queries=(SUM,)).apply(world.context())
    assert f"answers to {SUM}" in differs.value.problem


def test_a_schema_that_changes_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dump is over, and somebody alters a table before all is read."""
    original = backup_store.store

    def store(*args: object) -> object:
        kept = original(*args)  # type: ignore[arg-type]
        monkeypatch.setattr(proof, "digests", lambda *_: {"table account": "other"})
        return kept

    monkeypatch.setattr(proof, "store", store)
    with pytest.raises(StepFailed, match=r"somebody changed .*table account"):
        world.step().apply(world.context())
    assert not vault_of(world.context()).sealed()


def test_an_alter_while_the_dump_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mixture is ever kept, and nobody waits for long."""
    world.do("CREATE TABLE a_large (id integer PRIMARY KEY, x varchar(4000))")
    with world.server.open(world.database) as session:
        session.begin()
        for number in range(400):
            session.do("INSERT INTO a_large VALUES (%s, %s)", (number, "x" * 4000))
        session.commit()
    alter = threading.Thread(
        target=world.do, args=("ALTER TABLE payment ADD COLUMN extra integer DEFAULT 1",)
    )

    def store(folder: Path, name: str, pieces: Iterator[bytes], recipients: tuple[str, ...]) -> object:
        def altered() -> Iterator[bytes]:
            for number, piece in enumerate(pieces):
                yield piece
                if number == 0:
                    alter.start()
                    alter.join(0.3)

        return backup_store.store(folder, name, altered(), recipients)

    before = world.schema()["table payment"]
    monkeypatch.setattr(proof, "store", store)
    # MariaDB: the definition changes at once, and the dump notices. PostgreSQL: the dump has locked all
    # tables, so it changes right afterwards; a comparison later than that must see it.

    def later(engine: Engine, session: Session, tables: tuple[str, ...] | None) -> dict[str, str]:
        alter.join()
        return digests(engine, session, tables)

    monkeypatch.setattr(proof, "digests", later)
    with pytest.raises(StepFailed, match=r"1412|somebody changed table payment"):
        world.step().apply(world.context())
    assert not vault_of(world.context()).sealed()
    alter.join()
    assert world.schema()["table payment"] != before


def test_a_killed_process_leaves_nothing_that_goes_on(world: World) -> None:
    """The program dies while its copy is compared: dump made, scratch server up."""
    token = str(world.context().token)
    where = [world.server.engine, world.database, str(world.folder), token]
    target = world.server.target().model_dump_json()
    argv = [sys.executable, "-m", "tests.adapters.backups.victim", *where, target]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "comparing\n"
        victim.kill()
    mark = f"{processes.TOKEN}={token}"
    (folder,) = scratch.BASE.glob(f"remediate-scratch-{victim.pid}-*")
    assert processes.find([mark]), "a server outlives its controller"
    assert world.step().quiesce(world.context())
    assert not processes.find([mark])
    assert world.step().probe(world.context()).verdict is Verdict.NOT_APPLIED
    scratch.sweep()
    assert not folder.exists()
    world.backed_up()


def test_an_undo_restores_nothing_when_nothing_differs(world: World) -> None:
    done = world.backed_up()
    world.do("UPDATE account SET balance = 7 WHERE id = 7")
    assert not world.undo(done).changed
    assert world.rows("SELECT balance FROM account WHERE id = 7") == [(7,)], "others' writes stay"


def test_an_altered_table_goes_back_alone(world: World) -> None:
    done, schema, kept = world.backed_up(), world.schema(), world.measure("account")
    world.do(
        "ALTER TABLE account ADD COLUMN extra integer DEFAULT 3", "CREATE INDEX later ON account (balance)"
    )
    world.mark("account")
    world.do("UPDATE payment SET memo = 'other' WHERE id = 2")
    assert "restored account" in world.undo(done).summary
    assert world.schema() == schema, "foreign keys and the view as well"
    assert world.measure("account") == kept
    assert world.rows("SELECT memo FROM payment WHERE id = 2") == [("other",)]
    assert not world.undo(done).changed
    world.do("INSERT INTO payment VALUES (9, 9, 'works')")
    with pytest.raises(StepFailed, match=r"foreign key|violates"):
        world.do("INSERT INTO payment VALUES (10, 999, 'checks')")


def test_a_dropped_table_comes_back(world: World) -> None:
    done, schema, kept = world.backed_up(), world.schema(), world.measure("payment")
    world.do("DROP TABLE payment", "CREATE TABLE ours (id integer PRIMARY KEY)")
    world.mark("ours")
    assert world.undo(done).summary == "restored payment; dropped ours"
    assert (world.schema(), world.measure("payment")) == (schema, kept)


def test_rows_that_only_our_change_wrote_go_back(world: World) -> None:
    done, kept = world.backed_up(), world.measure("account")
    world.do("UPDATE account SET balance = 0")
    world.mark("account", "payment")
    assert world.undo(done).summary == "restored account"
    assert world.measure("account") == kept


def test_others_writes_are_never_overwritten(world: World) -> None:
    done = world.backed_up()
    world.do("ALTER TABLE account ADD COLUMN extra integer")
    world.mark("account")
    world.do("INSERT INTO account (id, balance) VALUES (1000, 5)")
    with pytest.raises(
        StepFailed, match=f"had {ACCOUNTS} rows .* left {ACCOUNTS} rows.* has {ACCOUNTS + 1} rows now"
    ) as no:
        world.undo(done)
    assert f"remediate backups restore {done.data['backup']} --into" in no.value.advice
    assert world.rows("SELECT balance FROM account WHERE id = 1000") == [(5,)]


def test_others_writes_may_be_lost_by_a_signed_word(world: World) -> None:
    kept, done = world.measure("account"), world.backed_up()
    world.do("ALTER TABLE account ADD COLUMN extra integer")
    world.mark("account")
    world.do("INSERT INTO account (id, balance) VALUES (1000, 5)")
    assert world.undo(done, overwrite=True).summary == "restored account"
    assert world.measure("account") == kept


def test_an_undo_that_was_cut_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done, schema = world.backed_up(), world.schema()
    world.do("ALTER TABLE account ADD COLUMN extra integer")
    world.mark("account")
    dumper = type(dumper_named(world.server.engine))

    def cut(*_: object) -> None:
        world.do(
            "DELETE FROM account WHERE id > 3 AND id NOT IN (SELECT account FROM payment WHERE account > 0)"
        )
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dumper, "replace", cut)
        with pytest.raises(KeyboardInterrupt):
            world.undo(done)
    assert world.undo(done).changed
    assert world.schema() == schema
    assert len(world.rows("SELECT * FROM account")) == ACCOUNTS


def test_a_view_is_left_to_a_human(world: World) -> None:
    done = world.backed_up()
    world.do("DROP VIEW rich")
    with pytest.raises(StepFailed, match="view rich changed, and can't be put back alone"):
        world.undo(done)


def test_some_tables_only(world: World) -> None:
    done = world.backed_up(tables=("account",))
    assert done.data["rows"] == ACCOUNTS
    with pytest.raises(StepFailed, match=r"nowhere|no matching tables"):
        world.step(tables=("nowhere",)).apply(world.context())


def test_only_what_dead_processes_left_is_removed(world: World) -> None:
    orphan = scratch.BASE / "remediate-scratch-4194303-1-orphan"
    orphan.mkdir()
    (orphan / "data").touch()
    scratch.sweep()
    assert not orphan.exists()
    world.backed_up()


def test_the_wrong_name_of_a_database(world: World) -> None:
    for name in ("--all-databases", "host=elsewhere"):
        with pytest.raises(StepFailed, match="no name of a database"):
            world.step(database=name).apply(world.context())
    with pytest.raises(StepFailed, match=r"nowhere"):
        world.step(database="nowhere").apply(world.context())


def test_looking_finds_what_differs(world: World) -> None:
    with world.server.open(world.database) as session:
        one = look(world.server.driver, session, None, (SUM,))
    world.do("DELETE FROM payment WHERE id = 1")
    with world.server.open(world.database) as session:
        other = look(world.server.driver, session, None, (SUM,))
    assert differences(one, one) == []
    assert differences(one, other) == ["table payment: 2 rows became 1"]


def test_a_job_never_has_less_than_a_second() -> None:
    assert Job("t", time.monotonic() - 100).left == 1.0
