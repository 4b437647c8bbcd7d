"""A control group per host: the kernel's own register of what the lab started.

Each host has ``<prefix>/<host>/loop`` (its supervisor) and ``<prefix>/<host>/host`` (the host itself) in
every hierarchy that systemd uses. Whatever runs there is the lab's, whichever command started it and whether
or not that command still lives; so cleaning up needs no process ids written down.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from remediate.lab.command import LabError
from remediate.lab.data import FILES

KILL_SECONDS = 10.0


def hierarchies() -> tuple[Path, ...]:
    """Mount points of the hierarchies in which systemd keeps its tree: v2, and v1's ``name=systemd``."""
    found: list[Path] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(before.split(" ")[4]))
    if not found:
        raise LabError("this machine mounts no cgroup hierarchy", "mount -t cgroup2 none /sys/fs/cgroup")
    return tuple(found)


def create(group: str) -> tuple[Path, ...]:
    """Make ``group`` in every hierarchy; returns its folders."""
    folders = tuple(mount / group for mount in hierarchies())
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def inside(folders: tuple[Path, ...]) -> tuple[str, ...]:
    """The beginning of a command that runs the rest of it inside a group made by ``create``."""
    return ("/bin/sh", str(FILES / "enter.sh"), *map(str, folders), "--")


def processes(group: str) -> set[int]:
    """Everything that runs in ``group`` or below it, in any hierarchy."""
    found: set[int] = set()
    for mount in hierarchies():
        for folder, _, _ in os.walk(mount / group):
            # A group that vanishes while it is read has no processes; `rglob` would stumble over it.
            with suppress(OSError):
                found.update(int(word) for word in Path(folder, "cgroup.procs").read_text().split())
    # 0 stands for a process outside this pid namespace, which isn't ours to touch.
    return found - {0}


def kill(group: str) -> None:
    """End everything in ``group`` at once, as a power cut would, and wait until it is gone."""
    deadline = time.monotonic() + KILL_SECONDS
    while True:
        for mount in hierarchies():
            with suppress(OSError):
                (mount / group / "cgroup.kill").write_text("1")
        left = processes(group)
        if not left:
            return
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise LabError(f"processes of {group} won't end: {sorted(left)}", "look at them with ps")
        time.sleep(0.01)


@contextmanager
def frozen(group: str) -> Iterator[None]:
    """Stop everything in ``group``, as one, for as long as the block takes; nothing inside notices.

    Raises:
        LabError: the kernel has no freezer for it (it came with Linux 5.2), or it does not stop.
    """
    folders = [mount / group for mount in hierarchies() if (mount / group / "cgroup.freeze").exists()]
    if not folders:
        raise LabError(f"the kernel can't freeze {group}", "mount -t cgroup2 none /sys/fs/cgroup/unified")
    try:
        deadline = time.monotonic() + KILL_SECONDS
        for folder in folders:
            (folder / "cgroup.freeze").write_text("1")
            while "frozen 1" not in (folder / "cgroup.events").read_text():
                if time.monotonic() > deadline:
                    raise LabError(f"{group} does not stop within {KILL_SECONDS:g} s")
                time.sleep(0.002)
        yield
    finally:
        thaw(group)


def thaw(group: str) -> None:
    """Let ``group`` go on, whoever has frozen it; nothing happens if nobody has."""
    for switch in [mount / group / "cgroup.freeze" for mount in hierarchies()]:
        if switch.exists():
            switch.write_text("0")


def remove(group: str) -> None:
    """Remove ``group`` with everything below it; it must be empty of processes."""
    for mount in hierarchies():
        top = mount / group
        if not top.exists():
            continue
        folders = [Path(path) for path, _, _ in os.walk(top, topdown=False)]
        for folder in folders:
            _rmdir(folder)


def _rmdir(folder: Path) -> None:
    """Remove one group; the kernel says busy for a moment after its last process has ended."""
    deadline = time.monotonic() + KILL_SECONDS
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def children(group: str) -> tuple[str, ...]:
    """Names of the groups right below ``group``, in any hierarchy."""
    names: set[str] = set()
    for mount in hierarchies():
        top = mount / group
        if top.is_dir():
            names.update(entry.name for entry in top.iterdir() if entry.is_dir())
    return tuple(sorted(names))
