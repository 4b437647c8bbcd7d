"""A private database server on this machine, for as long as one backup is proved.

It runs as an unprivileged user in a directory of its own, listens on a Unix socket in there and nowhere else,
and never waits for the disk: what it holds is a copy. The directory's name says which process it belongs
to, so that the next start finds and removes what a killed process left.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from remediate.adapters.ansible import processes
from remediate.adapters.databases.endpoint import Endpoint
from remediate.adapters.databases.engine import Engine
from remediate.errors import StepFailed
from remediate.model.clip import clip

#: On a disk, unlike /tmp on many machines: the copy may be large.
BASE = Path("/var/tmp")  # noqa: S108 - mkdtemp makes private directories there
MARK = "REMEDIATE_SCRATCH"
_NAME = re.compile(r"remediate-scratch-(\d+)-(\d+)-\w+")
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one engine's server is made: its programs get the directory, and put everything in there."""

    engine: Engine
    users: tuple[str, ...]
    """Unprivileged users to run as, the first that this machine has; for root only."""
    admin: str
    """Who may do everything in the new server, without a password."""
    install: Callable[[Path], list[str]]
    serve: Callable[[Path], list[str]]


@contextmanager
def scratch_server(recipe: Recipe, token: str) -> Iterator[Endpoint]:
    """A new, empty server. It is gone when the block is left.

    Raises:
        StepFailed: its programs are not installed here, or it does not start.
    """
    sweep()
    user = _unprivileged(recipe.users)
    folder = Path(
        tempfile.mkdtemp(prefix=f"remediate-scratch-{os.getpid()}-{_started(os.getpid())}-", dir=BASE)
    )
    server = None
    try:
        (folder / "tmp").mkdir(mode=0o700)
        if user is not None:
            for path in (folder, folder / "tmp"):
                os.chown(path, user.pw_uid, user.pw_gid)
        env = {
            "PATH": os.defpath + ":/usr/sbin:/sbin",
            "LC_ALL": "C",
            "TMPDIR": str(folder / "tmp"),
            "HOME": str(folder),
            MARK: str(folder),
            processes.TOKEN: token,
        }
        _install(recipe.install(folder), folder, env, user)
        with (folder / "log").open("ab") as log:
            server = _start(recipe.serve(folder), folder, env, user, log.fileno())
        place = Endpoint("scratch", str(folder), 5432, recipe.admin)
        _wait(recipe.engine, place, server, folder)
        yield place
    finally:
        if server is not None:
            _stop(server, folder)
        shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Remove the servers and directories of processes that are dead."""
    for folder in BASE.glob("remediate-scratch-*"):
        match = _NAME.fullmatch(folder.name)
        if match is None or folder.is_symlink() or _started(int(match[1])) == int(match[2]):
            continue
        processes.end([f"{MARK}={folder}"])
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(names: tuple[str, ...]) -> pwd.struct_passwd | None:
    """Database servers refuse to run as root. None: this process is no root, and runs them itself."""
    if os.geteuid() != 0:
        return None
    for name in names:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise StepFailed(
        f"none of the users {', '.join(names)} exists on this machine", "install the server's package"
    )


def _start(
    argv: list[str], folder: Path, env: dict[str, str], user: pwd.struct_passwd | None, log: int
) -> subprocess.Popen[bytes]:
    program = shutil.which(argv[0], path=env["PATH"])
    if program is None:
        raise StepFailed(
            f"{argv[0]} is not installed on this machine, so no backup can be restored here",
            "install the database's server package here, or name another server with scratch=",
        )
    return subprocess.Popen(
        [program, *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=folder,
        env=env,
        start_new_session=True,
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
    )


def _install(argv: list[str], folder: Path, env: dict[str, str], user: pwd.struct_passwd | None) -> None:
    with (folder / "log").open("ab") as log:
        process = _start(argv, folder, env, user, log.fileno())
    try:
        code = process.wait(_START_SECONDS)
    except subprocess.TimeoutExpired:
        _stop(process, folder)
        code = -1
    if code != 0:
        raise StepFailed(f"no scratch server can be made: {argv[0]} ended with {code}: {_tail(folder)}")


def _wait(engine: Engine, place: Endpoint, server: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        if server.poll() is not None or time.monotonic() > until:
            raise StepFailed(f"the scratch server does not start: {_tail(folder)}")
        if Path(place.socket).exists():
            with suppress(StepFailed), engine.open(place, ""):
                return
        time.sleep(_POLL)


def _stop(server: subprocess.Popen[bytes], folder: Path) -> None:
    """Nothing in it is worth a clean end; its children are found by their mark."""
    server.kill()
    server.wait(_STOP_SECONDS)
    processes.end([f"{MARK}={folder}"], _STOP_SECONDS)


def _tail(folder: Path) -> str:
    lines = (folder / "log").read_text(errors="replace").splitlines()
    return clip(" / ".join(line for line in lines if re.search("error|fatal", line, re.IGNORECASE)), 1000)


def _started(pid: int) -> int:
    """When the process started (clock ticks since boot); 0 if there is none. Tells reused numbers apart."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(text[text.rindex(")") + 2 :].split()[19])
