"""Runs on a target (its Python may be as old as 3.6): lists a tree, or clears the way for what is restored.

``list PATH… -- [EXCLUDED…]`` prints one JSON object per line, every directory before what is in it, in the
order of the names' bytes: the order of ``tar --sort=name``. ``clear`` reads from stdin ``d`` or ``x`` and a
path, each ended by NUL: removes the entry, or only its extended attributes.
"""

import errno
import hashlib
import json
import os
import stat
import sys

MYPY = False
if MYPY:
    from typing import Any

_CHUNK = 1 << 20
_twins = {}  # type: dict[tuple[int, int], list[Any]]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _attributes(path: bytes) -> "dict[str, str]":
    """Extended attributes, ACLs among them, in hexadecimal."""
    return {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(_names(path))}


def _names(path: bytes) -> "list[str]":
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return []
        raise


def _content(path: bytes) -> str:
    digest = hashlib.sha256()
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb", 0) as file:
        for piece in iter(lambda: file.read(_CHUNK), b""):
            digest.update(piece)
    return digest.hexdigest()


def _entry(path: bytes, seen: os.stat_result) -> "dict[str, Any]":
    entry = {
        "path": _text(path),
        "kind": "other",
        "uid": seen.st_uid,
        "gid": seen.st_gid,
        "mode": stat.S_IMODE(seen.st_mode),
        "mtime": seen.st_mtime_ns,
        "xattrs": _attributes(path),
    }  # type: dict[str, Any]
    if stat.S_ISREG(seen.st_mode):
        entry.update(kind="file", size=seen.st_size, sha256=_content(path))
        if seen.st_nlink > 1:
            twins = _twins.setdefault((seen.st_dev, seen.st_ino), [entry["path"], seen.st_nlink, 0])
            twins[2] += 1
            entry["twin"] = twins[0]
    elif stat.S_ISDIR(seen.st_mode):
        entry["kind"] = "dir"
    elif stat.S_ISLNK(seen.st_mode):
        entry.update(kind="link", to=_text(os.readlink(path)))
    return entry


def _walk(path: bytes, excluded: "set[bytes]") -> None:
    if path in excluded:
        return
    try:
        seen = os.lstat(path)
    except FileNotFoundError:
        return
    print(json.dumps(_entry(path, seen), sort_keys=True))
    if stat.S_ISDIR(seen.st_mode):
        for name in sorted(os.listdir(path)):
            _walk(os.path.join(path, name), excluded)


def _list(words: "list[bytes]") -> None:
    cut = words.index(b"--")
    for path in words[:cut]:
        _walk(path, set(words[cut + 1 :]))
    for path, links, found in _twins.values():
        if links > found:
            print(json.dumps({"outside": path}))


def _clear() -> None:
    for item in sys.stdin.buffer.read().split(b"\0")[:-1]:
        what, path = item[:1], item[1:]
        try:
            if what == b"x":
                for name in _names(path):
                    os.removexattr(path, name, follow_symlinks=False)
            elif stat.S_ISDIR(os.lstat(path).st_mode):
                os.rmdir(path)
            else:
                os.unlink(path)
        except FileNotFoundError:
            pass


if __name__ == "__main__":
    if sys.argv[1] == "list":
        _list([os.fsencode(word) for word in sys.argv[2:]])
    else:
        _clear()
