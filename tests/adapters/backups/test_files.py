"""FileBackup and CommandBackup: on this machine for speed, and on a lab's host over SSH."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
from pydantic import ValidationError

from remediate.adapters.backups.command import CommandBackup
from remediate.adapters.backups.files import FileBackup
from remediate.adapters.backups.manifest import vault_of
from remediate.adapters.backups.store import Stored
from remediate.adapters.backups.tarball import Walker
from remediate.adapters.clients import ClientPool
from remediate.adapters.hosts.command import RunCommand
from remediate.cli.main import run
from remediate.errors import Exit, InDoubt, InputError, StepFailed
from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from remediate.model.context import Context
from remediate.model.step import Step, Verdict
from remediate.planning.expand import expand
from remediate.service import backups as use_case
from tests.adapters.hosts.conftest import local_pool
from tests.adapters.hosts.world import HOSTILE, World, here, lab_host
from tests.service.world import World as ProjectWorld

__all__ = ["local_pool"]

LAYOUT = Layout(Path("/var/lib/remediate-lab-files"), "rmfiles", "10.213.83")
_NOBODY = 0xFFFFFFFF
#: acl(5) as the kernel keeps it: version 2, then tag, permissions and number of each entry.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in [(1, 6, _NOBODY), (2, 4, 1234), (4, 4, _NOBODY), (16, 4, _NOBODY), (32, 0, _NOBODY)]
)


@pytest.fixture
def here_(tmp_path: Path, local_pool: ClientPool) -> Iterator[World]:
    """This machine."""
    made = World(here(), local_pool, tmp_path, f"test-{uuid.uuid4().hex[:12]}")
    yield made
    made.forget()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with a bit of everything."""
    root = tmp_path / "tree"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "sub" / "deep" / "big").write_bytes(os.urandom(3 << 20))
    (root / "plain").write_text("kept\n")
    (root / "note").write_text("kept too\n")
    (root / "plain").chmod(0o4751)
    os.utime(root / "plain", ns=(1, 123456789))
    (root / "empty").touch()
    (root / "link").symlink_to("/nowhere/at all")
    os.link(root / "plain", root / "sub" / "twin")
    (root / ("n" * 120)).mkdir()
    (root / ("n" * 120) / ("m" * 120)).write_text("a long name")
    for name in HOSTILE:
        (root / "sub" / name).write_text(name, errors="surrogateescape")
    if os.geteuid() == 0:
        os.chown(root / "empty", 3_000_000, 4321)
    return root


def taken(world: World, step: Step) -> Context:
    """The context in which the step has made its backup."""
    result = step.apply(world.context())
    context = world.context(data=result.data)
    assert [check.ok for check in step.confirm(context)] == [True]
    assert step.probe(context).verdict is Verdict.APPLIED
    return context


def test_a_tree_comes_back_as_it_was(here_: World, tree: Path) -> None:
    step = FileBackup(paths=(str(tree),))
    context = taken(here_, step)
    before = step.observe(context)
    assert not step.undo(context).changed
    (tree / "plain").write_text("broken\n")
    (tree / "plain").chmod(0o600)
    (tree / "link").unlink()
    (tree / "link").mkdir()
    shutil.rmtree(tree / "sub")
    (tree / "sub").symlink_to(tree.parent)
    (tree / "empty").unlink()
    assert step.observe(context) != before
    done = step.undo(context)
    assert done.changed
    assert step.observe(context) == before
    assert (tree / "plain").stat().st_mtime_ns == 123456789
    assert (tree / "plain").samefile(tree / "sub" / "twin")
    assert not step.undo(context).changed
    assert step.release(context).changed
    assert step.probe(context).verdict is Verdict.NOT_APPLIED


def test_what_is_new_stays_until_a_human_signs(here_: World, tree: Path) -> None:
    step = FileBackup(paths=(str(tree),))
    context = taken(here_, step)
    before = step.observe(context)
    (tree / "new").mkdir()
    (tree / "new" / "work").write_text("of somebody")
    (tree / "plain").write_text("broken\n")
    with pytest.raises(StepFailed, match="new since the backup") as caught:
        step.undo(context)
    assert str(tree / "new") in caught.value.problem
    assert "overwrite" in caught.value.advice
    assert (tree / "plain").read_text() == "broken\n", "nothing was restored"
    assert "removed" in step.undo(replace(context, overwrite=True)).summary
    assert step.observe(context) == before


def test_what_is_excluded_is_neither_kept_nor_touched(here_: World, tree: Path) -> None:
    step = FileBackup(paths=(str(tree),), exclude=(str(tree / "sub" / "deep"), str(tree / "sub" / "*")))
    context = taken(here_, step)
    assert int(str(context.data["bytes"])) < 1 << 20
    (tree / "sub" / "deep" / "big").write_text("other")
    (tree / "sub" / "*").unlink()
    assert not step.undo(context).changed
    (tree / "sub" / "a b").unlink()
    assert step.undo(context).changed
    assert (tree / "sub" / "deep" / "big").read_text() == "other"


def test_encrypted(tmp_path: Path, tree: Path, local_pool: ClientPool) -> None:
    key = pyrage.x25519.Identity.generate()
    target = here(remediate_backup_recipients=[str(key.to_public())], remediate_backup_identity="env:KEY")
    world = World(target, local_pool, tmp_path, f"test-{uuid.uuid4().hex[:12]}")

    class Keys:
        def resolve(self, reference: str) -> str:
            return {"env:KEY": str(key)}[reference]

    step = FileBackup(paths=(str(tree),))
    context = replace(world.context(), secrets=Keys())
    context = replace(context, data=step.apply(context).data)
    kept = vault_of(context).folder
    assert all(b"plain" not in path.read_bytes() for path in kept.glob("*.age"))
    assert len(list(kept.glob("*.age"))) == 2
    (tree / "plain").unlink()
    assert step.undo(context).changed


def test_a_tree_that_changes_meanwhile_is_refused(
    here_: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = FileBackup(paths=(str(tree),))
    dump = FileBackup._dump

    def before(*arguments: Any) -> Stored:
        (tree / "plain").write_text("before the dump")
        return dump(*arguments)

    def after(*arguments: Any) -> Stored:
        stored = dump(*arguments)
        (tree / "empty").write_text("after the dump")
        return stored

    for changed, name in ((before, "plain"), (after, "empty")):
        monkeypatch.setattr(FileBackup, "_dump", changed)
        with pytest.raises(StepFailed, match=f"{name} changed while the backup was made"):
            step.apply(here_.context())
        assert step.probe(here_.context()).verdict is Verdict.NOT_APPLIED


def test_what_can_not_be_put_back_is_refused(here_: World, tree: Path, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="not there"):
        FileBackup(paths=(str(tree / "nothing"),)).apply(here_.context())
    os.link(tree / "empty", tmp_path / "elsewhere")
    with pytest.raises(StepFailed, match="hard links outside"):
        FileBackup(paths=(str(tree),)).apply(here_.context())
    (tmp_path / "elsewhere").unlink()
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        (tmp_path / "s").rename(tree / "socket")
        with pytest.raises(StepFailed, match="socket is neither file"):
            FileBackup(paths=(str(tree),)).apply(here_.context())
    step = FileBackup(paths=(str(tree),), exclude=(str(tree / "socket"),))
    context = taken(here_, step)
    (listing,) = vault_of(context).folder.glob("listing*")
    listing.write_bytes(listing.read_bytes()[:-1])
    with pytest.raises(StepFailed, match="listing"):
        step.undo(context)


@pytest.mark.parametrize(
    "fields",
    [
        {"paths": ()},
        {"paths": ("/",)},
        {"paths": ("/a/../b",)},
        {"paths": ("/a/",)},
        {"paths": ("/a", "/a/b")},
        {"paths": ("/a",), "exclude": ("/b",)},
        {"paths": ("/a",), "exclude": ("/a",)},
    ],
)
def test_nonsense_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FileBackup.model_validate(fields)


def test_an_archive_without_its_end_is_refused() -> None:
    walker = Walker(lambda _: True, lambda _: None, lambda _: None)
    walker.write(bytes(512))
    with pytest.raises(StepFailed, match="cut off"):
        walker.finish()
    with pytest.raises(StepFailed, match="damaged"):
        walker.write(b"x" * 512)


def test_a_command_pair(here_: World, tmp_path: Path) -> None:
    state = tmp_path / "it's state"
    state.write_bytes(os.urandom(1 << 20))
    before = state.read_bytes()
    step = CommandBackup(
        dump=("cat", str(state)), load=("tee", str(state)), check=("cmp", "-", str(state)), what="the state"
    )
    context = taken(here_, step)
    state.write_text("broken")
    assert "the state" in step.undo(context).summary
    assert state.read_bytes() == before
    assert step.quiesce(context)
    assert step.release(context).changed


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"dump": ("true",)}, "printed nothing"),
        ({"dump": ("sh", "-c", "echo half; echo disk broken >&2; exit 3")}, "exit code 3: disk broken"),
        ({"dump": ("sh", "-c", "echo half; kill -9 $$")}, "ended|killed"),
        ({"dump": ("/no/such/program",)}, "No such file"),
        ({"dump": ("echo", "x"), "check": ("false",)}, "exit code 1"),
        ({"dump": ("head", "-c", "9000000", "/dev/zero"), "check": ("true",)}, "before it had read"),
    ],
)
def test_a_command_that_does_not_do_its_work(here_: World, fields: dict[str, object], said: str) -> None:
    step = CommandBackup.model_validate({"what": "it", **fields})
    with pytest.raises(StepFailed, match=said):
        step.apply(here_.context())
    assert step.probe(here_.context()).verdict is Verdict.NOT_APPLIED


def test_a_command_that_takes_too_long_is_ended(here_: World) -> None:
    step = CommandBackup(dump=("sleep", "30"), what="it")
    with pytest.raises(StepFailed, match="not done in time"):
        step.apply(here_.context(timeout=1.0))
    assert not here_.client().alive(str(here_.context().token))


def test_what_a_dead_process_left_is_ended(here_: World) -> None:
    environment = {**os.environ, "REMEDIATE_TOKEN": str(here_.context().token)}
    with subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True) as left:
        assert CommandBackup(dump=("true",), what="it").quiesce(here_.context(attempt=2))
        assert left.wait(5) < 0


RUNBOOK = '''
from remediate.authoring import Command, CommandBackup, Estimate, File, FileBackup, Risk, Runbook

QUICK = Estimate(apply=1, verify=1, undo=1)


class Write(Runbook):
    """Write one file of a tree."""

    class Inputs(Runbook.Inputs):
        path: str
        fail: bool = False

    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs):
        files = FileBackup(paths=["{tree}"], estimate=QUICK)
        command = CommandBackup(dump=["echo", "{target.name}"], what="the name", estimate=QUICK)
        checks = [Command(["false"])] if inputs.fail else []
        yield File(
            path="{tree}/note", content="new", estimate=QUICK, protect=[files, command], verify=checks
        )
'''


@pytest.fixture
def project(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProjectWorld]:
    """A project that writes into the tree."""
    made = ProjectWorld.make(tmp_path / "project")
    made.settings("[backups]\nkeep_days = 2\n")
    (made.root / "runbooks" / "write.py").write_text(RUNBOOK.replace("{tree}", str(tree)))
    monkeypatch.setenv("REMEDIATE_PROJECT", str(made.root))
    yield made
    made.audit()


def test_the_command_line_shows_checks_and_deletes_them(
    project: ProjectWorld, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept_time = (tree / "note").stat().st_mtime_ns
    project.done()
    assert (tree / "note").read_text() == "new"
    capsys.readouterr()
    assert run(["backups", "--output", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["backups"]
    assert {one["manifest"]["level"] for one in found} == {"B1", "B3"}
    assert run(["backups"]) == 0
    assert "the name" in capsys.readouterr().out
    for one in found:
        assert run(["backups", "verify", one["id"]]) == 0
        assert run(["backups", "verify", one["id"], "--scratch"]) == Exit.USAGE
        into = tree.parent / f"into-{one['manifest']['level']}"
        assert run(["backups", "restore", one["id"], "--into", str(into)]) == 0
        assert run(["backups", "restore", one["id"], "--into", str(into)]) == Exit.REFUSED
    copy = Path(f"{tree.parent}/into-B3{tree}/note")
    assert (copy.read_text(), copy.stat().st_mtime_ns) == ("kept too\n", kept_time)
    assert Path(f"{tree.parent}/into-B1").read_bytes()
    assert Path(f"{tree.parent}/into-B1").stat().st_mode & 0o777 == 0o600
    (listing,) = project.root.glob(".remediate/runs/*/work/*/*/host-here/listing*")
    listing.unlink()
    codes = [run(["backups", "verify", one["id"]]) for one in found]
    assert sorted(codes) == [0, Exit.NEEDS_HUMAN]
    project.ahead = 3 * 86400.0
    archive = next(project.root.glob(".remediate/runs/*/work/*/*/host-here/files.tar*"))
    archive.write_bytes(archive.read_bytes()[:-9])
    one = next(one for one in found if one["manifest"]["level"] == "B3")
    assert run(["backups", "restore", one["id"], "--into", str(tree.parent / "broken")]) == Exit.INTERNAL
    assert not (tree.parent / "broken").exists(), "nothing is left of it"
    held = project.project
    use_case.delete(held, use_case.expired(held))
    assert not use_case.kept(held)


def test_a_run_that_fails_puts_the_tree_back(project: ProjectWorld, tree: Path) -> None:
    before = (tree / "note").stat()
    project.plan(fail=True)
    project.approve()
    assert project.run() is Exit.ROLLED_BACK
    after = (tree / "note").stat()
    assert (tree / "note").read_text() == "kept too\n"
    assert after.st_mtime_ns == before.st_mtime_ns
    assert any("restored " + str(tree) in str(event) for event in project.seen)


def test_what_restores_nothing_reverses_nothing() -> None:
    kept = CommandBackup(dump=("true",), what="it")
    change = RunCommand(argv=("true",), protect=(kept,))
    with pytest.raises(InputError, match="nothing would undo it"):
        expand([change], ["here"], lambda _: [])
    loads = kept.model_copy(update={"load": ("true",)})
    assert len(expand([change.model_copy(update={"protect": (loads,)})], ["here"], lambda _: [])) == 2
    assert len(expand([change.model_copy(update={"undo_with": ("true",)})], ["here"], lambda _: [])) == 2


@pytest.fixture(scope="session")
def web1() -> Iterator[Hosts]:
    """One host of a lab of these tests' own."""
    made = Hosts(LAYOUT, 2)
    # The lab that tests/payments makes for a moment has the same network.
    with (
        locked(Path("/run/remediate-lab-pay2.lock"), print),
        locked(Path("/run") / f"{LAYOUT.home.name}.lock", print),
    ):
        made.down()
        try:
            made.up(print)
            yield made
        finally:
            made.down()
            shutil.rmtree(LAYOUT.home)


_MAKE = """
import os, sys
root = "/srv/it's a tree"
os.makedirs(root + "/inner")
for name in ("kept", "inner/deep"):
    with open(f"{root}/{name}", "wb") as file:
        file.write(os.urandom(3 << 20))
    os.chown(f"{root}/{name}", 1234, 4321)
acl = bytes.fromhex(sys.argv[1])
os.setxattr(root + "/kept", "system.posix_acl_access", acl)
os.setxattr(root + "/inner", "system.posix_acl_default", acl)
os.setxattr(root + "/kept", "user.note", bytes(range(256)))
os.setxattr(root + "/kept", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
"""
_SPOIL = """
import os
root = "/srv/it's a tree"
os.remove(root + "/kept")
os.removexattr(root + "/inner", "system.posix_acl_default")
os.setxattr(root, "user.more", b"than was kept")
open(root + "/kept", "w").close()
"""
_LOSE = """
import os, signal, time
pid = os.getppid()
while not open(f"/proc/{pid}/comm").read().startswith("sshd"):
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
os.kill(pid, signal.SIGKILL)
time.sleep(60)
"""


@pytest.mark.lab
def test_over_ssh_with_acl_and_attributes(web1: Hosts, tmp_path: Path) -> None:
    root = "/srv/it's a tree"
    with ClientPool() as pool:
        world = World(lab_host("web1", 11, LAYOUT), pool, tmp_path, f"test-{uuid.uuid4().hex[:12]}")
        must = world.client().query(["python3", "-c", _MAKE, ACL.hex()])
        assert must.ok, must.said
        step = FileBackup(paths=(root,))
        context = taken(world, step)
        before = step.observe(context)
        spoilt = world.client().query(["python3", "-c", _SPOIL])
        assert spoilt.ok, spoilt.said
        assert step.observe(context) != before
        assert step.undo(context).changed
        assert step.observe(context) == before
        assert not step.undo(context).changed
        dump = CommandBackup(dump=("cat", f"{root}/kept"), load=("tee", "/srv/copy"), what="a file")
        kept = taken(world, dump)
        dump.undo(kept)
        assert world.client().query(["cmp", f"{root}/kept", "/srv/copy"]).ok
        with pytest.raises(StepFailed, match="exit code 3: no"):
            CommandBackup(dump=("sh", "-c", "echo no >&2; exit 3"), what="it").apply(world.context())
        with pytest.raises(StepFailed, match=r"before it had read|exit code 1"):
            replace_check(dump, ("false",)).apply(world.context())
        with pytest.raises(StepFailed, match="not done in time"):
            CommandBackup(dump=("sleep", "60"), what="it").apply(world.context(timeout=1.0))
        assert not world.client().alive(str(world.context().token))
        with pytest.raises(StepFailed, match=r"connection was lost.*nothing was changed"):
            CommandBackup(dump=("python3", "-c", _LOSE), what="it").apply(world.context())
        lost = dump.model_copy(update={"load": ("python3", "-c", _LOSE)})
        with pytest.raises(InDoubt, match="connection was lost"):
            lost.undo(taken(world, dump))
        assert dump.quiesce(world.context())
        assert not world.client().alive(str(world.context().token))
        world.forget()


def replace_check(step: CommandBackup, check: tuple[str, ...]) -> CommandBackup:
    """The same with this check."""
    return step.model_copy(update={"check": check})
