"""Files are replaced whole or not at all: written beside, proved, then renamed over."""

import base64
import grp
import hashlib
import os
import pwd
import stat
from contextlib import contextmanager, suppress

from . import look
from .commands import run_captured
from .paths import parent, parts_of
from .wire import Refusal, in_time

MYPY = False
if MYPY:
    from collections.abc import Iterator
    from typing import Any

_NEW = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
#: Begun, not yet in place; whatever the client doesn't finish is removed when it goes.
_unfinished: "set[str]" = set()


def _staged(path: str, stage: str) -> str:
    """The name beside ``path`` that an attempt writes to: always the same, so a second try finds it.

    It begins with a dot and ends unlike any configuration file, so that no ``conf.d/*`` picks it up.
    """
    digest = hashlib.sha256((path + "\0" + stage).encode("utf-8", "surrogateescape")).hexdigest()
    return f".remediate-{digest[:24]}.part"


def write(path: str, payload: bytes, stage: str, offset: int, last: bool, meta: "dict[str, Any]") -> str:
    """Write one part; with the last one, put the file in its place. Returns its SHA-256 then, else "".

    Args:
        path: where it goes; whatever is there may only be a regular file or absent.
        payload: the part.
        stage: names the attempt.
        offset: where in the file the part belongs.
        last: whether this is the last part.
        meta: ``owner``, ``group`` (name, number or None: as it is), ``mode`` (octal text or None),
            ``xattrs`` (base64 by name, or None: as they are), ``mtime`` (ns or None), ``validate`` (an
            argument list with ``{file}``, or None).
    """
    beside = _staged(path, stage)
    with _existing_parent(path) as (folder, name):
        old = _replaceable(folder, name, path)
        if offset == 0:
            _unlink(folder, beside)
        handle = os.open(beside, _NEW | (os.O_EXCL if offset == 0 else 0), 0o600, dir_fd=folder)
        _unfinished.add(_sibling(path, beside))
        try:
            _append(handle, offset, payload)
            if not last:
                return ""
            digest = _dress(handle, old, path, meta)
            _validate(path, beside, meta.get("validate"))
            in_time()
            os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
            _sync(folder)
        except BaseException:
            _unlink(folder, beside)
            raise
        finally:
            os.close(handle)
        _unfinished.discard(_sibling(path, beside))
    return digest


@contextmanager
def _existing_parent(path: str) -> "Iterator[tuple[int, str]]":
    try:
        with parent(path) as found:
            yield found
    except (FileNotFoundError, NotADirectoryError):
        advice = "make it first, with the owner and mode that it should have"
        raise Refusal(f"{path}: its directory does not exist", advice) from None


def _sibling(path: str, name: str) -> str:
    return "/" + "/".join([*parts_of(path)[:-1], name])


def _append(handle: int, offset: int, payload: bytes) -> None:
    if os.fstat(handle).st_size != offset:
        raise Refusal("a part of the file is missing; nothing was put in place")
    os.lseek(handle, offset, os.SEEK_SET)
    view = memoryview(payload)
    while view:
        view = view[os.write(handle, view) :]


def _replaceable(folder: int, name: str, path: str) -> "os.stat_result | None":
    """What is there now, if a file may take its place."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        goal = os.readlink(name, dir_fd=folder)
        raise Refusal(f"{path} is a symbolic link to {goal}", "manage the file that it leads to")
    if not stat.S_ISREG(status.st_mode):
        raise Refusal(f"{path} is not a regular file")
    if status.st_nlink > 1:
        raise Refusal(f"{path} has {status.st_nlink} hard links", "replacing it would part it from its twins")
    return status


def _dress(handle: int, old: "os.stat_result | None", path: str, meta: "dict[str, Any]") -> str:
    """Owner, mode, attributes and time, before anybody can open it by its name; returns the SHA-256."""
    uid = user_id(meta["owner"], old.st_uid if old else os.geteuid())
    gid = group_id(meta["group"], old.st_gid if old else os.getegid())
    mode = int(meta["mode"], 8) if meta["mode"] is not None else stat.S_IMODE(old.st_mode) if old else 0o644
    if (uid, gid) != (os.fstat(handle).st_uid, os.fstat(handle).st_gid):
        os.chown(handle, uid, gid)
    extra = meta.get("xattrs")
    if extra is None and old:
        set_xattrs(handle, _present_xattrs(path))
    os.chmod(handle, mode)
    if extra is not None:
        # After the mode, which would change the mask of an access list.
        set_xattrs(handle, extra)
    if meta.get("mtime") is not None:
        os.utime(handle, ns=(meta["mtime"], meta["mtime"]))
    os.lseek(handle, 0, os.SEEK_SET)
    digest, _ = look.digest_of(handle, None)
    os.fsync(handle)
    return digest


def _present_xattrs(path: str) -> "dict[str, str]":
    fact = look.look(path)[0].fact
    return dict(fact.get("xattrs", {}))


def set_xattrs(handle: int, wanted: "dict[str, str]") -> None:
    """Make the extended attributes equal ``wanted``, touching only those that differ."""
    present = look.xattrs(handle)
    for name in set(present) - set(wanted):
        os.removexattr(handle, name)
    for name, value in wanted.items():
        if present.get(name) != value:
            os.setxattr(handle, name, base64.b64decode(value))


def user_id(owner: "str | int | None", default: int) -> int:
    """A user's number on this host."""
    if owner is None:
        return default
    if isinstance(owner, int):
        return owner
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise Refusal(f"this host has no user {owner!r}") from None


def group_id(group: "str | int | None", default: int) -> int:
    """A group's number on this host."""
    if group is None:
        return default
    if isinstance(group, int):
        return group
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise Refusal(f"this host has no group {group!r}") from None


def _validate(path: str, beside: str, argv: "list[str] | None") -> None:
    """Ask the program that will read the file, while the old file is still in place."""
    if not argv:
        return
    file = _sibling(path, beside)
    answer = run_captured([word.replace("{file}", file) for word in argv], {}, 60.0)
    if answer["rc"] != 0:
        said = (answer["stderr"] + answer["stdout"]).strip()
        raise Refusal(
            f"{path}: the new content was refused by {argv[0]} (exit code {answer['rc']}): {said}",
            "nothing was put in place; correct the content",
        )


def _unlink(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _sync(folder: int) -> None:
    """Make the rename itself durable; a path-only handle can't be synced, so open it again."""
    handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clean_up() -> None:
    """Remove what was begun and not finished."""
    for path in list(_unfinished):
        with suppress(OSError, Refusal), parent(path) as (folder, name):
            _unlink(folder, name)


def remove(path: str) -> None:
    """Remove a file, a link or an empty directory; absent is fine."""
    try:
        with parent(path) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                os.rmdir(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)
            _sync(folder)
    except (FileNotFoundError, NotADirectoryError):
        return


def make_parents(path: str) -> None:
    """Make the directories above that are missing: our own, 0755."""
    parts = parts_of(path)[:-1]
    for length in range(1, len(parts) + 1):
        with parent("/" + "/".join(parts[:length])) as (folder, name), suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=folder)


def place(path: str, fact: "dict[str, Any]", mtime: int) -> None:
    """Make a directory or symbolic link that is exactly so; what is there of another kind must be gone."""
    with parent(path) as (folder, name):
        if fact["kind"] == "symlink":
            beside = _staged(path, "link")
            _unlink(folder, beside)
            os.symlink(fact["to"], beside, dir_fd=folder)
            os.chown(beside, fact["uid"], fact["gid"], dir_fd=folder, follow_symlinks=False)
            os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            _directory(folder, name, fact, mtime)
        _sync(folder)


def _directory(folder: int, name: str, fact: "dict[str, Any]", mtime: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(name, flags, dir_fd=folder)
    try:
        os.chown(handle, fact["uid"], fact["gid"])
        os.chmod(handle, int(fact["mode"], 8))
        set_xattrs(handle, fact.get("xattrs", {}))
        os.utime(handle, ns=(mtime, mtime))
    finally:
        os.close(handle)
