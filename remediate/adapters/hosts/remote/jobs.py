"""Jobs outlive the connection that started them, run at most once, and tell afterwards how they ended."""

import json
import os
import re
import select
import stat
import time
from contextlib import suppress

from . import processes
from .commands import Follower, start
from .wire import Refusal

MYPY = False
if MYPY:
    from typing import Any

_NAME = re.compile(r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$")
#: Younger than this, a job without a process may be one that is just being started.
_STARTING_SECONDS = 5.0
#: The read end of a pipe that each job of ours holds open: its end is noticed at once.
_watched: "dict[str, int]" = {}


def boot_id() -> str:
    """Changes with every boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _base() -> str:
    """Where jobs are kept: a directory that nobody else can write or read."""
    uid = os.geteuid()
    path = "/run/remediate" if uid == 0 else f"/var/tmp/remediate-{uid}"  # noqa: S108
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or status.st_mode & 0o077:
        raise Refusal(
            f"{path} is not a directory of our own", "somebody else made it: look who, then remove it"
        )
    return path


def _folder(name: str) -> str:
    if not _NAME.match(name):
        raise Refusal(f"not a job's name: {name!r}")
    return _base() + "/" + name


def _save(folder: str, name: str, value: "dict[str, Any]") -> None:
    with open(folder + "/." + name, "w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(folder + "/." + name, folder + "/" + name)


def _load(folder: str, name: str) -> "dict[str, Any] | None":
    try:
        with open(folder + "/" + name, encoding="utf-8") as file:
            loaded: dict[str, Any] = json.load(file)
            return loaded
    except FileNotFoundError:
        return None


def launch(
    name: str, token: str, argv: "list[str]", env: "dict[str, str]", limit: float, again: bool
) -> None:
    """Start a job, unless one of this name was started before: then nothing is done.

    Args:
        name: names it for ever.
        token: the attempt, put into the environment of all its processes.
        argv: the command.
        env: added to a clean environment.
        limit: how long it may take before it is ended, in seconds.
        again: whether one that has ended may be replaced.
    """
    folder = _folder(name)
    if again and status(name)["state"] in ("ended", "vanished"):
        import shutil

        shutil.rmtree(folder)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return
    env = dict(env)
    env[processes.TOKEN] = token
    _detach(name, folder, token, argv, env, limit)


def _detach(
    name: str, folder: str, token: str, argv: "list[str]", env: "dict[str, str]", seconds: float
) -> None:
    """Fork twice: the job belongs to no session of ours, and nobody needs to wait for it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                _supervise(folder, token, argv, env, seconds, writer)
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    # The supervisor says that it has written down who it is: from here on the job can be found again.
    os.read(reader, 1)
    _watched[name] = reader


class _Recorder(Follower):
    """Also writes the beginning of the output as it comes, for whoever looks in the middle."""

    def __init__(self, process: "Any", seconds: float, folder: str) -> None:
        Follower.__init__(self, process, seconds)
        self.folder = folder

    def kept(self, is_out: bool, data: bytes) -> None:
        if data:
            with open(self.folder + ("/stdout" if is_out else "/stderr"), "ab") as file:
                file.write(data)


def _supervise(
    folder: str, token: str, argv: "list[str]", env: "dict[str, str]", seconds: float, writer: int
) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    os.dup2(writer, 3)
    os.closerange(4, 4096)
    os.set_inheritable(3, False)
    about = {"token": token, "pid": os.getpid(), "started": processes.started(os.getpid()), "boot": boot_id()}
    _save(folder, "job", about)
    os.write(3, b".")
    began = time.monotonic()
    result: dict[str, Any] = {"rc": None, "stdout": "", "stderr": "", "timed_out": False}
    try:
        process = start(argv, env)
        _save(folder, "job", dict(about, session=process.pid))
        recorder = _Recorder(process, seconds, folder)
        result.update(rc=recorder.follow(), stdout=recorder.out.text(), stderr=recorder.err.text())
        result["timed_out"] = recorder.timed_out
    except Refusal as refusal:
        result["failed"] = refusal.problem
    result["seconds"] = time.monotonic() - began
    _save(folder, "result", result)


def status(name: str) -> "dict[str, Any]":
    """``state``: ``running``, ``ended`` (with the result), ``vanished`` (begun, gone without a result) or
    ``unknown`` (never begun here, or before the last boot)."""
    folder = _folder(name)
    if not os.path.isdir(folder):
        return {"state": "unknown"}
    about = _load(folder, "job")
    if about is None:
        young = time.time() - os.stat(folder).st_mtime < _STARTING_SECONDS
        return {"state": "running"} if young else {"state": "vanished", "begun": False}
    alive = about["boot"] == boot_id() and processes.started(about["pid"]) == about["started"]
    # In this order: a job may end between the two looks.
    result = _load(folder, "result")
    if result is not None:
        return dict(result, state="ended")
    output = {"stdout": _so_far(folder, "stdout"), "stderr": _so_far(folder, "stderr")}
    return dict(output, state="running" if alive else "vanished", begun=True)


def _so_far(folder: str, stream: str) -> str:
    with suppress(OSError), open(folder + "/" + stream, "rb") as file:
        return file.read().decode("utf-8", "replace")
    return ""


def wait(name: str, seconds: float) -> "dict[str, Any]":
    """The job's status as soon as it has ended, the client asks something else, or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        found = status(name)
        left = deadline - time.monotonic()
        if found["state"] != "running" or left <= 0:
            _unwatch(name)
            return found
        watched = [_watched[name]] if name in _watched else []
        ready, _, _ = select.select([0, *watched], [], [], left if watched else min(left, 0.05))
        if 0 in ready:
            return found
        if ready:
            _unwatch(name)


def _unwatch(name: str) -> None:
    if name in _watched and status(name)["state"] != "running":
        os.close(_watched.pop(name))


def _sessions(token: str) -> "set[int]":
    """Sessions of this attempt's jobs that have not ended."""
    found = set()
    base = _base()
    for name in os.listdir(base):
        about = _load(base + "/" + name, "job") or {}
        unfinished = not os.path.exists(base + "/" + name + "/result")
        if about.get("token") == token and unfinished and about.get("boot") == boot_id():
            found |= {about["session"]} if "session" in about else set()
    return found


def pending(token: str) -> "dict[str, Any]":
    """What is left of an attempt: ``processes`` that live, and its jobs by ``running`` and ``vanished``."""
    jobs: dict[str, list[str]] = {"running": [], "ended": [], "vanished": []}
    base = _base()
    for name in os.listdir(base):
        if (_load(base + "/" + name, "job") or {}).get("token") == token:
            jobs[status(name)["state"]].append(name)
    found = processes.describe(processes.of(token, _sessions(token)))
    return {"processes": found, "running": jobs["running"], "vanished": jobs["vanished"]}


def kill(token: str, grace: float, limit: float) -> "list[dict[str, Any]]":
    """End all processes of this attempt; returns those that would not die."""
    return processes.describe(processes.end(token, _sessions(token), grace, limit))


def forget(token: str) -> int:
    """Remove what is kept about this attempt's ended jobs; returns how many there were."""
    import shutil

    base = _base()
    gone = 0
    for name in os.listdir(base):
        about = _load(base + "/" + name, "job") or {}
        if about.get("token") == token and status(name)["state"] != "running":
            shutil.rmtree(base + "/" + name)
            gone += 1
    return gone
