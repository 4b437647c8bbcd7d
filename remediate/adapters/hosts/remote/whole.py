"""A whole host, to compare with itself later: files, packages, units.

It shares no code with the facts that steps observe: a mistake there must not hide itself here.
"""

import base64
import fnmatch
import hashlib
import os
import stat
import time

from .commands import run_captured
from .wire import Refusal

MYPY = False
if MYPY:
    from collections.abc import Iterator
    from typing import Any

    from .wire import Answer

MOST = 100000
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST = 32 << 20
_TYPES = "--type=service,socket,timer,path,mount"
_PASSING = ("activating", "deactivating", "reloading", "refreshing", "maintenance")
_SETTLE_SECONDS = 10.0


def whole(watch: "list[str]", ignored: "list[str]", units: "list[str]") -> "Answer":
    """What is below the watched paths, every package, every unit; patterns leave things out."""
    files: dict[str, Any] = {}
    for path in watch:
        for found, entry in _walk(path, ignored):
            files[found] = entry
            if len(files) > MOST:
                raise Refusal(f"more than {MOST} files are watched", "watch fewer folders")
    return {"files": files, "packages": _packages(), "units": _units(units)}, b""


def _walk(path: str, ignored: "list[str]") -> "Iterator[tuple[str, dict[str, Any]]]":
    if any(fnmatch.fnmatchcase(path, pattern) for pattern in ignored):
        return
    try:
        status = os.lstat(path)
        entry = _entry(path, status)
        below = sorted(os.listdir(path)) if stat.S_ISDIR(status.st_mode) else []
    except FileNotFoundError:
        return
    yield path, entry
    for name in below:
        yield from _walk(path.rstrip("/") + "/" + name, ignored)


def _entry(path: str, status: "os.stat_result") -> "dict[str, Any]":
    kind = stat.S_IFMT(status.st_mode)
    entry: dict[str, Any] = {"owner": f"{status.st_uid}:{status.st_gid}"}
    if kind == stat.S_IFLNK:
        entry.update(kind="link", to=os.readlink(path))
        return entry
    entry["mode"] = f"{stat.S_IMODE(status.st_mode):04o}"
    attributes = _attributes(path)
    if attributes:
        entry["attributes"] = attributes
    if kind == stat.S_IFREG:
        entry.update(kind="file", size=status.st_size, content=_digest(path))
    elif kind == stat.S_IFDIR:
        entry["kind"] = "folder"
    else:
        entry.update(kind="device or socket", device=f"{kind:o} {status.st_rdev}")
    return entry


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, _READ), "rb", 0) as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()


def _attributes(path: str) -> "dict[str, str]":
    """Extended attributes; ACLs and capabilities are among them."""
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
        return {n: base64.b64encode(os.getxattr(path, n, follow_symlinks=False)).decode() for n in names}
    except OSError:
        return {}


def _said(argv: "list[str]") -> str:
    answer = run_captured(argv, {}, 60.0, keep=_LONGEST)
    if answer["rc"] != 0:
        raise Refusal("{} failed: {}".format(argv[0], answer["stderr"].strip()))
    return str(answer["stdout"])


def _packages() -> "dict[str, Any]":
    """Version and dpkg's state (a hold is part of it), and who asked for the package."""
    if not os.path.isdir("/var/lib/dpkg"):
        return {}
    form = "${binary:Package}\\t${Version}\\t${db:Status-Abbrev}\\n"
    lines = _said(["dpkg-query", "--show", "--showformat", form]).splitlines()
    automatic = set(_said(["apt-mark", "showauto"]).split())
    found = {}
    for name, version, state in (line.split("\t") for line in lines):
        asked = "automatically" if name in automatic or name.partition(":")[0] in automatic else "by hand"
        found[name] = {"version": version, "state": state.strip(), "installed": asked}
    return found


def _units(ignored: "list[str]") -> "dict[str, Any]":
    """Enabled and active, for each unit. One that is just changing is waited for."""
    if not os.path.isdir("/run/systemd/system"):
        return {}
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        found = _read_units(ignored)
        if time.monotonic() > deadline or not any(u.get("active") in _PASSING for u in found.values()):
            return found
        time.sleep(0.1)


def _read_units(ignored: "list[str]") -> "dict[str, Any]":
    listed = ["--no-legend", "--no-pager", "--plain", "--full", _TYPES]
    found: dict[str, Any] = {}
    for line in _said(["systemctl", "list-unit-files", *listed]).splitlines():
        name, state = line.split()[:2]
        found.setdefault(name, {})["enabled"] = state
    for line in _said(["systemctl", "list-units", "--all", *listed]).splitlines():
        name, load, active = line.split()[:3]
        if load == "loaded":
            found.setdefault(name, {})["active"] = active
    # Inactive and not in memory is the same.
    for unit in found.values():
        unit.setdefault("active", "inactive")
    kept = sorted(n for n in found if not any(fnmatch.fnmatchcase(n, p) for p in ignored))
    return {name: found[name] for name in kept}
