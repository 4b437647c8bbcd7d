"""Files through the agent: what is seen, how it is replaced, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import JsonValue

from remediate.adapters.hosts.keys import file_key
from remediate.errors import StepFailed
from remediate.model.base import fingerprint, sha256
from tests.adapters.hosts.world import HOSTILE, World


def fact(world: World, path: Path) -> dict[str, JsonValue]:
    found = world.client().facts([file_key(str(path))])[file_key(str(path))]
    assert isinstance(found, dict)
    return found


def test_facts_of_each_kind(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "file").chmod(0o4750)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir(mode=0o711)
    os.mkfifo(tmp_path / "fifo")
    file = fact(world, tmp_path / "file")
    assert file == {
        "kind": "file",
        "mode": "4750",
        "owner": "root",
        "group": "root",
        "uid": 0,
        "gid": 0,
        "size": 7,
        "sha256": sha256(b"content"),
    }
    link = fact(world, tmp_path / "link")
    assert (link["kind"], link["to"]) == ("symlink", "file")
    folder = fact(world, tmp_path / "folder")
    assert (folder["kind"], folder["mode"], folder["entries"]) == ("directory", "0711", 0)
    assert fact(world, tmp_path / "fifo")["kind"] == "other"
    assert fact(world, tmp_path / "nothing") == {"kind": "absent"}
    assert fact(world, tmp_path / "nothing" / "below") == {"kind": "absent"}
    assert fact(world, tmp_path / "file" / "below") == {"kind": "absent"}


def test_facts_say_nothing_of_time(world: World, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    first = fact(world, path)
    os.utime(path, (1, 1))
    path.read_text()
    assert fact(world, path) == first


def test_a_directory_has_the_digest_of_everything_below(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "file").write_text("one")
    first = fact(world, folder)
    (folder / "below" / "file").chmod(0o600)
    assert fact(world, folder) != first
    (folder / "below" / "file").chmod(0o644)
    assert fact(world, folder) == first
    (folder / "other").write_text("")
    assert fact(world, folder)["entries"] == 3


def test_two_spellings_of_a_path_are_one_key() -> None:
    assert file_key("/etc//hosts/") == file_key("/etc/hosts") == "file:/etc/hosts"


def test_write_replaces_at_once_and_keeps_what_is_not_given(world: World, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    os.chown(path, 12, 34)
    inode = path.stat().st_ino
    digest = world.client().write(str(path), b"new", stage="t")
    assert digest == sha256(b"new")
    assert path.read_bytes() == b"new"
    now = path.stat()
    assert (now.st_mode & 0o7777, now.st_uid, now.st_gid) == (0o640, 12, 34)
    assert now.st_ino != inode, "it must be another file, renamed into place"
    assert not list(tmp_path.glob(".remediate*"))


def test_write_sets_owner_and_mode(world: World, tmp_path: Path) -> None:
    path = tmp_path / "file"
    world.client().write(str(path), b"x", stage="t", owner="daemon", group="daemon", mode="0604")
    found = fact(world, path)
    assert (found["owner"], found["group"], found["mode"]) == ("daemon", "daemon", "0604")


def test_write_of_a_new_file_is_roots_0644(world: World, tmp_path: Path) -> None:
    world.client().write(str(tmp_path / "file"), b"", stage="t")
    found = fact(world, tmp_path / "file")
    assert (found["owner"], found["mode"], found["size"]) == ("root", "0644", 0)


def test_a_large_file_travels_in_parts(world: World, tmp_path: Path) -> None:
    content = os.urandom(9 << 20)
    assert world.client().write(str(tmp_path / "file"), content, stage="t") == sha256(content)
    assert world.client().read(str(tmp_path / "file")) == content


def test_read_has_a_limit(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    with pytest.raises(StepFailed, match="longer than 999 bytes"):
        world.client().read(str(tmp_path / "file"), limit=999)


def test_unknown_owner_is_refused_and_nothing_is_left(world: World, tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    path.parent.mkdir()
    with pytest.raises(StepFailed, match="no user 'nobody-here'"):
        world.client().write(str(path), b"x", stage="t", owner="nobody-here")
    assert list(path.parent.iterdir()) == []


def test_a_missing_directory_is_said_so(world: World, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="its directory does not exist"):
        world.client().write(str(tmp_path / "none" / "file"), b"x", stage="t")


def test_content_that_is_refused_never_goes_live(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    path = folder / "file"
    path.write_text("old")
    client = world.client()
    with pytest.raises(StepFailed, match=r"refused by grep \(exit code 1\)"):
        client.write(str(path), b"bad", stage="t", validate=["grep", "good", "{file}"])
    assert path.read_text() == "old"
    assert [p.name for p in folder.iterdir()] == ["file"]
    client.write(str(path), b"good", stage="t", validate=["grep", "good", "{file}"])
    assert path.read_text() == "good"


def test_a_link_is_not_written_through(world: World, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "link").symlink_to("victim")
    with pytest.raises(StepFailed, match="is a symbolic link to victim"):
        world.client().write(str(tmp_path / "link"), b"theirs", stage="t")
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_link_of_another_user_on_the_way_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to("real")
    client = world.client()
    client.write(str(tmp_path / "way" / "file"), b"root's own link is followed", stage="t")
    assert (tmp_path / "real" / "file").exists()
    os.lchown(tmp_path / "way", 65534, 65534)
    for act in (
        lambda: client.write(str(tmp_path / "way" / "file"), b"x", stage="t"),
        lambda: client.remove(str(tmp_path / "way" / "file")),
        lambda: client.facts([file_key(str(tmp_path / "way" / "file"))]),
    ):
        with pytest.raises(StepFailed, match="symbolic link of user 65534"):
            act()


def test_hard_links_are_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("x")
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    with pytest.raises(StepFailed, match="2 hard links"):
        world.client().write(str(tmp_path / "one"), b"y", stage="t")


@pytest.mark.parametrize("path", ["relative", "/", "/etc/../etc/passwd", "/etc/./passwd", "/nul\0"])
def test_strange_paths_are_refused(world: World, path: str) -> None:
    with pytest.raises(StepFailed):
        world.client().write(path, b"x", stage="t")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_just_names(world: World, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    client = world.client()
    path = f"{folder}/{name}"
    client.write(path, b"content", stage=name)
    assert [p.name for p in folder.iterdir()] == [name]
    assert client.read(path) == b"content"
    (grabbed,) = client.grab([str(folder)])
    assert [entry.path for entry in grabbed.entries] == [str(folder), path]
    fingerprint(client.facts([file_key(str(folder))]))
    client.write(path, b"content 2", stage=name, validate=["test", "-s", "{file}"])
    client.remove(path)
    assert list(folder.iterdir()) == []


def test_what_was_begun_and_not_finished_is_removed_with_the_agent(world: World, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    client = world.client()
    meta = {"owner": None, "group": None, "mode": None, "xattrs": None, "mtime": None, "validate": None}
    fields = {"path": str(path), "stage": "t", "offset": 0, "last": False, "meta": meta}
    client.session.ask("write", effect=True, seconds=5, payload=b"half", fields=fields)
    assert len(list(path.parent.iterdir())) == 1
    client.session.close()
    assert list(path.parent.iterdir()) == []


def test_a_missing_part_is_noticed(world: World, tmp_path: Path) -> None:
    meta = {"owner": None, "group": None, "mode": None, "xattrs": None, "mtime": None, "validate": None}
    fields = {"path": str(tmp_path / "file"), "stage": "t", "offset": 5, "last": True, "meta": meta}
    with pytest.raises(StepFailed, match="a part of the file is missing"):
        world.client().session.ask("write", effect=True, seconds=5, payload=b"x", fields=fields)
    assert not (tmp_path / "file").exists()


def test_extended_attributes_stay_with_the_file(world: World, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    os.setxattr(path, "user.origin", b"here")
    world.client().write(str(path), b"new", stage="t")
    assert os.getxattr(path, "user.origin") == b"here"
    world.client().write(str(path), b"new", stage="t", xattrs={"user.other": "eA=="})
    assert os.listxattr(path) == ["user.other"]


def test_remove_takes_files_links_and_empty_directories(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "full" / "below").mkdir(parents=True)
    client = world.client()
    for name in ("link", "file", "folder", "nothing"):
        client.remove(str(tmp_path / name))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full", "project", "workspace"]
    with pytest.raises(StepFailed, match="not empty"):
        client.remove(str(tmp_path / "full"))
