"""Paths without surprises: a file is named by an open directory and one name inside it."""

import errno
import os
import stat
from contextlib import contextmanager

from .wire import Refusal

MYPY = False
if MYPY:
    from collections.abc import Iterator

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Linux' own limit (path_resolution(7)).
_MOST_LINKS = 40


def parts_of(path: str) -> "list[str]":
    """The names in an absolute path.

    Raises:
        Refusal: it is relative, or has an empty, ``.`` or ``..`` name, or a NUL.
    """
    if not path.startswith("/") or "\0" in path:
        raise Refusal(f"not an absolute path: {path!r}")
    parts = [part for part in path.split("/") if part]
    if "." in parts or ".." in parts:
        raise Refusal(f"a path may not contain . or ..: {path!r}")
    return parts


@contextmanager
def parent(path: str) -> "Iterator[tuple[int, str]]":
    """The directory that holds ``path``, open, and the last name.

    Raises:
        Refusal: a directory on the way is a symbolic link that an ordinary user could have put there.
        FileNotFoundError: a directory on the way is missing.
    """
    parts = parts_of(path)
    if not parts:
        raise Refusal("the root directory itself can't be managed")
    handle = _walk(parts[:-1], path)
    try:
        yield handle, parts[-1]
    finally:
        os.close(handle)


def _walk(parts: "list[str]", path: str) -> int:
    todo = parts[::-1]
    handle = os.open("/", _DIRECTORY)
    links = 0
    try:
        while todo:
            name = todo.pop()
            try:
                below = os.open(name, _DIRECTORY, dir_fd=handle)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                links += 1
                goal = _link(name, handle, path, links)
                todo.extend(part for part in goal.split("/")[::-1] if part not in ("", "."))
                below = os.open("/" if goal.startswith("/") else ".", _DIRECTORY, dir_fd=handle)
            os.close(handle)
            handle = below
        return handle
    except BaseException:
        os.close(handle)
        raise


def _link(name: str, handle: int, path: str, links: int) -> str:
    """Where a symbolic link on the way leads, if only root or we ourselves can have made it."""
    status = os.stat(name, dir_fd=handle, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a directory on the way", path)
    if status.st_uid not in (0, os.geteuid()):
        raise Refusal(
            f"{path}: {name!r} on the way is a symbolic link of user {status.st_uid}",
            "look at who made it; name the real path if it is right",
        )
    if links > _MOST_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    return os.readlink(name, dir_fd=handle)
