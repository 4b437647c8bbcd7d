"""What a file, link or directory is: facts without times, so that equal things have equal facts."""

import base64
import grp
import hashlib
import json
import os
import pwd
import stat

from .paths import parent
from .wire import Refusal

MYPY = False
if MYPY:
    from collections.abc import Iterator
    from typing import Any

#: A tree with more than this is data, not configuration: it needs another kind of backup.
MOST_ENTRIES = 20000
MOST_BYTES = 2 << 30
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_names: "dict[tuple[str, int], str]" = {}


def _owner(uid: int) -> str:
    if ("u", uid) not in _names:
        try:
            _names["u", uid] = pwd.getpwuid(uid).pw_name
        except KeyError:
            _names["u", uid] = str(uid)
    return _names["u", uid]


def _group(gid: int) -> str:
    if ("g", gid) not in _names:
        try:
            _names["g", gid] = grp.getgrgid(gid).gr_name
        except KeyError:
            _names["g", gid] = str(gid)
    return _names["g", gid]


def _common(kind: str, status: "os.stat_result") -> "dict[str, Any]":
    return {
        "kind": kind,
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "owner": _owner(status.st_uid),
        "group": _group(status.st_gid),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }


def xattrs(handle: int) -> "dict[str, str]":
    """Extended attributes, base64 by name; POSIX ACLs and file capabilities are among them."""
    found = {}
    try:
        for name in os.listxattr(handle):
            found[name] = base64.b64encode(os.getxattr(handle, name)).decode()
    except OSError:
        # A file system without extended attributes has none.
        return {}
    return found


class Entry:
    """One thing found: where, what, when changed, and its content if it was asked for and small."""

    def __init__(
        self,
        path: str,
        fact: "dict[str, Any]",
        status: "os.stat_result | None" = None,
        content: "bytes | None" = None,
    ) -> None:
        self.path = path
        self.fact = fact
        self.mtime = status.st_mtime_ns if status else 0
        self.content = content


def look(path: str, room: int = 0) -> "list[Entry]":
    """What is at ``path``, and everything below it if it is a directory, parents first.

    Args:
        path: absolute; a symbolic link is looked at, not followed.
        room: how many bytes of content may come along; a file that doesn't fit comes without.
    """
    try:
        with parent(path) as (folder, name):
            entries: list[Entry] = []
            for entry in _walk(folder, name, path, [room, 0]):
                entries.append(entry)
                if len(entries) > MOST_ENTRIES:
                    raise Refusal(
                        f"{path} holds more than {MOST_ENTRIES} files",
                        "name the files that the change touches, or protect it by a snapshot",
                    )
            return entries
    except (FileNotFoundError, NotADirectoryError):
        return [Entry(path, {"kind": "absent"})]
    except PermissionError:
        raise Refusal(
            f"{path}: permission denied", "it needs root: set ansible_become for this host"
        ) from None


def _walk(folder: int, name: str, path: str, counts: "list[int]") -> "Iterator[Entry]":
    """``counts`` is the room that is left and the bytes that were read."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISREG(status.st_mode):
        yield _file(folder, name, path, counts)
    elif stat.S_ISLNK(status.st_mode):
        fact = _common("symlink", status)
        fact["to"] = os.readlink(name, dir_fd=folder)
        yield Entry(path, fact, status)
    elif stat.S_ISDIR(status.st_mode):
        yield from _directory(folder, name, path, counts)
    else:
        yield Entry(path, _common("other", status), status)


def _directory(folder: int, name: str, path: str, counts: "list[int]") -> "Iterator[Entry]":
    handle = os.open(name, _READ | os.O_DIRECTORY, dir_fd=folder)
    try:
        status = os.fstat(handle)
        fact = _common("directory", status)
        _add_xattrs(fact, handle)
        yield Entry(path, fact, status)
        for below in sorted(os.listdir(handle)):
            yield from _walk(handle, below, path.rstrip("/") + "/" + below, counts)
    finally:
        os.close(handle)


def _file(folder: int, name: str, path: str, counts: "list[int]") -> Entry:
    handle = os.open(name, _READ, dir_fd=folder)
    try:
        status = os.fstat(handle)
        counts[1] += status.st_size
        if counts[1] > MOST_BYTES:
            raise Refusal(
                f"{path}: more than {MOST_BYTES >> 20} MiB",
                "name the files that the change touches, or protect it by a snapshot",
            )
        keep: list[bytes] | None = [] if status.st_size <= counts[0] else None
        digest, size = digest_of(handle, keep)
        fact = _common("file", status)
        fact.update(size=size, sha256=digest)
        if status.st_nlink > 1:
            fact["links"] = status.st_nlink
        _add_xattrs(fact, handle)
    finally:
        os.close(handle)
    content = None if keep is None else b"".join(keep)
    counts[0] -= len(content or b"")
    return Entry(path, fact, status, content)


def digest_of(handle: int, keep: "list[bytes] | None") -> "tuple[str, int]":
    """SHA-256 and size of the rest of an open file, whose content is added to ``keep``, if any."""
    digest = hashlib.sha256()
    size = 0
    while True:
        part = os.read(handle, 1 << 20)
        if not part:
            return digest.hexdigest(), size
        digest.update(part)
        size += len(part)
        if keep is not None:
            keep.append(part)


def _add_xattrs(fact: "dict[str, Any]", handle: int) -> None:
    found = xattrs(handle)
    if found:
        fact["xattrs"] = found


def summary(entries: "list[Entry]") -> "dict[str, Any]":
    """One fact for what ``look`` found: a directory's has the digest of everything below it."""
    fact = dict(entries[0].fact)
    if fact["kind"] == "directory":
        below = [[entry.path[len(entries[0].path) :], entry.fact] for entry in entries[1:]]
        fact["entries"] = len(below)
        fact["tree"] = hashlib.sha256(json.dumps(below, sort_keys=True).encode()).hexdigest()
    return fact


def read_part(path: str, offset: int, length: int) -> bytes:
    """A part of a regular file."""
    with parent(path) as (folder, name):
        handle = os.open(name, _READ, dir_fd=folder)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Refusal(f"{path} is not a regular file")
            os.lseek(handle, offset, os.SEEK_SET)
            parts = []
            while length > 0:
                part = os.read(handle, length)
                if not part:
                    break
                parts.append(part)
                length -= len(part)
            return b"".join(parts)
        finally:
            os.close(handle)
