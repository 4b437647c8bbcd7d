"""Backups of files: what is kept, that it is proved, and that putting it back is exact."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from remediate.adapters.hosts.backup import HostBackup
from remediate.adapters.hosts.vault import Vault
from remediate.errors import StepFailed
from remediate.model.base import fingerprint
from remediate.model.step import Context, Level, Role, Verdict
from tests.adapters.hosts.world import HOSTILE, World


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files of all kinds."""
    root = tmp_path / "tree"
    (root / "conf.d" / "empty").mkdir(parents=True)
    (root / "main.conf").write_text("a = 1\n")
    (root / "main.conf").chmod(0o640)
    os.chown(root / "main.conf", 1, 2)
    (root / "conf.d" / "one").write_bytes(os.urandom(100))
    os.setxattr(root / "conf.d" / "one", "user.note", b"kept")
    (root / "conf.d" / "link").symlink_to("../main.conf")
    (root / "conf.d" / "empty").chmod(0o700)
    for name in HOSTILE:
        (root / "conf.d" / name).write_text(f"content of {name!a}")
    return root


def made(world: World, step: HostBackup) -> Context:
    """Take the backup; the context of everything that follows."""
    before = step.observe(world.context())
    result = step.apply(world.context())
    return world.context(before=before, data=result.data)


def spoil_content(root: Path) -> None:
    (root / "main.conf").write_text("b = 2\n")
    (root / "conf.d" / "one").write_bytes(b"")


def spoil_owner_and_mode(root: Path) -> None:
    os.chown(root / "main.conf", 0, 0)
    (root / "main.conf").chmod(0o666)
    (root / "conf.d" / "empty").chmod(0o777)
    (root / "conf.d").chmod(0o700)


def spoil_attributes(root: Path) -> None:
    os.removexattr(root / "conf.d" / "one", "user.note")
    os.setxattr(root / "main.conf", "user.other", b"x")


def spoil_by_removing(root: Path) -> None:
    (root / "main.conf").unlink()
    (root / "conf.d" / "link").unlink()
    (root / "conf.d" / "empty").rmdir()
    for name in HOSTILE:
        (root / "conf.d" / name).unlink()


def spoil_by_adding(root: Path) -> None:
    (root / "new" / "deep").mkdir(parents=True)
    (root / "new" / "deep" / "file").write_text("x")
    (root / "conf.d" / "extra").write_text("x")
    (root / "conf.d" / "more").symlink_to("/etc")


def spoil_kinds(root: Path) -> None:
    (root / "main.conf").unlink()
    (root / "main.conf").mkdir()
    (root / "main.conf" / "below").write_text("x")
    (root / "conf.d" / "link").unlink()
    (root / "conf.d" / "link").write_text("not a link any more")
    (root / "conf.d" / "empty").rmdir()
    (root / "conf.d" / "empty").symlink_to("/etc/passwd")


def spoil_everything(root: Path) -> None:
    import shutil

    shutil.rmtree(root)


SPOILS = [
    spoil_content,
    spoil_owner_and_mode,
    spoil_attributes,
    spoil_by_removing,
    spoil_by_adding,
    spoil_kinds,
    spoil_everything,
]


@pytest.mark.parametrize("spoil", SPOILS)
def test_undo_restores_exactly(world: World, tree: Path, spoil: Callable[[Path], None]) -> None:
    step = HostBackup(files=(str(tree),))
    context = made(world, step)
    spoil(tree)
    assert fingerprint(step.observe(context)) != fingerprint(context.before)
    assert step.undo(context).changed
    assert fingerprint(step.observe(context)) == fingerprint(context.before)
    assert (tree / "main.conf").stat().st_uid == 1
    assert not step.undo(context).changed, "a second undo finds nothing to do"


def test_absence_is_restored_too(world: World, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    step = HostBackup(files=(str(absent), str(tmp_path / "folder" / "below")))
    context = made(world, step)
    absent.write_text("new")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "below").symlink_to("x")
    step.undo(context)
    assert not absent.exists()
    assert not (tmp_path / "folder" / "below").is_symlink()


def test_times_of_files_come_back(world: World, tree: Path) -> None:
    os.utime(tree / "main.conf", (1_000_000_000, 1_000_000_000))
    step = HostBackup(files=(str(tree),))
    context = made(world, step)
    spoil_content(tree)
    step.undo(context)
    assert (tree / "main.conf").stat().st_mtime == 1_000_000_000


def test_the_backup_says_what_it_proves(world: World, tree: Path) -> None:
    step = HostBackup(files=(str(tree), str(tree / "none")))
    assert (step.role, step.level) == (Role.BACKUP, Level.COMPARED)
    result = step.apply(world.context())
    assert not result.changed
    assert "compared with the host" in result.summary
    context = world.context(data=result.data)
    assert all(check.ok for check in step.confirm(context))
    assert step.probe(context).verdict is Verdict.APPLIED


def test_copies_are_private(world: World, tree: Path) -> None:
    context = made(world, HostBackup(files=(str(tree),)))
    folder = Vault.of(context.workspace, context.target.name).folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_probe_knows_an_unfinished_backup(world: World, tree: Path) -> None:
    step = HostBackup(files=(str(tree),))
    context = world.context()
    assert step.probe(context).verdict is Verdict.NOT_APPLIED
    vault = Vault.of(context.workspace, context.target.name)
    vault.begin()
    vault.put(b"half")
    assert step.probe(context).verdict is Verdict.NOT_APPLIED
    step.apply(context)
    assert step.probe(context).verdict is Verdict.NOT_APPLIED, "its hash was never noted"


def test_a_second_attempt_starts_anew(world: World, tree: Path) -> None:
    step = HostBackup(files=(str(tree),))
    made(world, step)
    spoil_content(tree)
    context = made(world, step)
    spoil_everything(tree)
    step.undo(context)
    assert (tree / "main.conf").read_text() == "b = 2\n"


def test_undo_without_a_backup_touches_nothing(world: World, tree: Path) -> None:
    result = HostBackup(files=(str(tree),)).undo(world.context())
    assert not result.changed
    assert "no backup was completed" in result.summary


def tamper_content(folder: Path) -> None:
    blob = next(path for path in folder.iterdir() if path.read_bytes() == b"a = 1\n")
    blob.write_text("a = 3\n")


def tamper_manifest(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][0]["entries"][0]["fact"]["mode"] = "0777"
    (folder / "manifest.json").write_text(json.dumps(manifest, sort_keys=True, indent=1))


def lose_content(folder: Path) -> None:
    next(path for path in folder.iterdir() if path.name != "manifest.json").unlink()


def lose_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize("tamper", [tamper_content, tamper_manifest, lose_content, lose_manifest])
def test_a_backup_that_was_touched_is_not_used(
    world: World, tree: Path, tamper: Callable[[Path], None]
) -> None:
    step = HostBackup(files=(str(tree),))
    context = made(world, step)
    spoil_content(tree)
    now = fingerprint(step.observe(context))
    tamper(Vault.of(context.workspace, context.target.name).folder)
    with pytest.raises(StepFailed, match=r"was changed after|can't be read") as caught:
        step.undo(context)
    assert caught.value.advice
    assert fingerprint(step.observe(context)) == now, "nothing may be restored from it"
    with pytest.raises(StepFailed):
        step.confirm(context)


def test_a_file_that_changes_meanwhile_is_noticed(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Vault.seal

    def seal(vault: Vault, manifest: dict[str, object]) -> str:
        (tree / "main.conf").write_text("changed just now")
        return real(vault, manifest)

    monkeypatch.setattr(Vault, "seal", seal)
    with pytest.raises(StepFailed, match="changed while the backup was made"):
        HostBackup(files=(str(tree),)).apply(world.context())


def test_what_can_not_be_restored_is_not_backed_up(world: World, tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    with pytest.raises(StepFailed, match="neither file, directory nor link"):
        HostBackup(files=(str(tree),)).apply(world.context())
    (tree / "fifo").unlink()
    (tree / "twin").hardlink_to(tree / "main.conf")
    with pytest.raises(StepFailed, match="hard links"):
        HostBackup(files=(str(tree),)).apply(world.context())


def test_large_files_are_kept_too(world: World, tmp_path: Path) -> None:
    content = os.urandom(10 << 20)
    (tmp_path / "large").write_bytes(content)
    step = HostBackup(files=(str(tmp_path / "large"),))
    context = made(world, step)
    (tmp_path / "large").unlink()
    step.undo(context)
    assert (tmp_path / "large").read_bytes() == content


def test_release_deletes_the_copies(world: World, tree: Path) -> None:
    step = HostBackup(files=(str(tree),))
    context = made(world, step)
    assert step.release(context).changed
    assert not Vault.of(context.workspace, context.target.name).folder.exists()
    assert not step.release(context).changed


def test_a_full_disk_is_a_failed_step(world: World, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(StepFailed, match="No space left on device") as caught:
        HostBackup(files=(str(tree),)).apply(world.context())
    assert caught.value.advice == "make room, or mend the disk"


def test_a_backup_of_nothing_is_an_error() -> None:
    with pytest.raises(ValidationError, match="protects nothing"):
        HostBackup()


def test_package_names_alone_are_allowed_and_survive_the_plan() -> None:
    step = HostBackup(packages=["nginx"], services=("nginx",))
    assert step.packages == {"nginx": ""}
    again = HostBackup.model_validate(step.model_dump(mode="json"))
    assert again == step
    assert again.title() == "back up package nginx, state of nginx"
