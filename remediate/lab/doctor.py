"""``remediate doctor``: what this machine lacks, and the command that mends it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from remediate.lab.command import LabError, run
from remediate.lab.distro import OS_RELEASE, distro
from remediate.lab.hosts import INOTIFY, INOTIFY_INSTANCES
from remediate.lab.image import mount_overlay
from remediate.lab.interface import HOME
from remediate.lab.lab import components, extra_parts
from remediate.lab.machine_packages import missing

GIB = 2**30
#: Image, package downloads and the hosts' disks, with room for a few snapshots.
DISK_GIB = 4
PYTHON = (3, 11)
TOOLS = ("ssh", "ssh-keygen")
#: The first `ssh-keygen -Y verify` that takes a time in UTC (`-O verify-time=…Z`; OpenSSH 9.1 release notes).
OPENSSH = (9, 1)
_SSH = "apt-get install --only-upgrade openssh-client"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what.
        ok: whether it is as it should be.
        problem: what is wrong; empty when ok.
        remedy: the command that mends it; empty when ok or when no command does.
    """

    name: str
    ok: bool
    problem: str = ""
    remedy: str = ""


def checks(extras: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Look at everything; nothing on the machine is changed.

    Args:
        extras: parts of the lab that are wanted beside the usual ones (`lab.NAMES`).
    """
    return (*(check() for check in CHECKS), *(_extra(name) for name in extras))


def _finding(name: str, ok: bool, problem: str, remedy: str = "") -> Finding:
    return Finding(name, True) if ok else Finding(name, False, problem, remedy)


def _root() -> Finding:
    return _finding("root", os.geteuid() == 0, "the lab needs root for namespaces and mounts", "sudo -i")


def _system(os_release: Path = OS_RELEASE) -> Finding:
    try:
        distro(os_release)
    except LabError as error:
        return Finding("system", False, error.problem)
    return Finding("system", True)


def _python(version: tuple[int, ...] = sys.version_info[:2]) -> Finding:
    has, wants = ".".join(map(str, version)), ".".join(map(str, PYTHON))
    remedy = "apt-get install python3.11 python3.11-venv"
    return _finding("python", version >= PYTHON, f"Python {has} is older than {wants}", remedy)


def _packages() -> Finding:
    try:
        wanted = missing(tuple(name for part in components() for name in part.packages()))
    except LabError as error:
        return Finding("packages", False, error.problem)
    names = " ".join(wanted)
    return _finding("packages", not wanted, f"not installed: {names}", f"apt-get install --yes {names}")


def _extra(name: str) -> Finding:
    try:
        wanted = missing(tuple(package for part in extra_parts([name]) for package in part.packages()))
    except LabError as error:
        return Finding(name, False, error.problem)
    remedy = f"remediate lab up --with {name}"
    return _finding(name, not wanted, f"not installed: {' '.join(wanted)}", remedy)


def _tools() -> Finding:
    lost = [tool for tool in TOOLS if shutil.which(tool) is None]
    return _finding("tools", not lost, f"not on the PATH: {' '.join(lost)}", "apt-get install openssh-client")


def _openssh(said: str | None = None) -> Finding:
    """Older ones refuse every approval, because they can't verify it at a given time."""
    if said is None:
        if shutil.which("ssh") is None:
            return Finding("openssh", False, "ssh is not on the PATH", "apt-get install openssh-client")
        done = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False, timeout=10)
        said = done.stderr + done.stdout
    wants = ".".join(map(str, OPENSSH))
    found = re.search(r"OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)", said)
    if found is None:
        words = said.strip().partition("\n")[0] or "nothing"
        return Finding("openssh", False, f"OpenSSH {wants} or newer is needed; ssh -V says {words!r}", _SSH)
    version = int(found[1]), int(found[2])
    problem = f"OpenSSH {found[1]}.{found[2]} is older than {wants}, so approvals can't be verified"
    return _finding("openssh", version >= OPENSSH, problem, _SSH)


def _disk(home: Path = HOME, need: int = DISK_GIB * GIB) -> Finding:
    there = home
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    problem = f"{free / GIB:.1f} GiB free at {there}, {need / GIB:.0f} GiB needed"
    return _finding("disk", free >= need, problem, f"du --max-depth=1 {there}")


def _inotify(setting: Path = INOTIFY) -> Finding:
    now = int(setting.read_text())
    problem = (
        f"{now} inotify instances are allowed; with many hosts some never boot below {INOTIFY_INSTANCES}"
    )
    remedy = f"sysctl -w fs.inotify.max_user_instances={INOTIFY_INSTANCES}"
    return _finding("inotify", now >= INOTIFY_INSTANCES, problem, remedy)


def _overlay() -> Finding:
    """An overlay really mounts where the lab would: not so below another overlay, as in a container."""
    if os.geteuid() != 0:
        return Finding("overlay", False, "only root can try", "sudo -i")
    there = HOME if HOME.exists() else HOME.parent
    with tempfile.TemporaryDirectory(dir=there, prefix=".doctor-") as name:
        folder = Path(name)
        parts = [folder / part for part in ("lower", "upper", "work", "root")]
        for part in parts:
            part.mkdir()
        try:
            mount_overlay((parts[0],), *parts[1:])
        except LabError as error:
            return Finding("overlay", False, error.problem, "modprobe overlay")
        run("umount", parts[3])
    return Finding("overlay", True)


def _namespaces() -> Finding:
    """A network namespace with a cable can be made; tried in a namespace of its own, so nothing is left."""
    trial = "ip link add rmtry0 type veth peer name rmtry1 && ip link add rmtry2 type bridge"
    try:
        run("unshare", "--net", "sh", "-c", trial)
    except LabError as error:
        return Finding("network", False, error.problem, "modprobe --all veth bridge")
    return Finding("network", True)


def _cgroups() -> Finding:
    text = Path("/proc/self/mountinfo").read_text()
    there = " - cgroup2 " in text or "name=systemd" in text
    return _finding(
        "cgroups", there, "no cgroup hierarchy is mounted", "mount -t cgroup2 none /sys/fs/cgroup"
    )


def _forwarding() -> Finding:
    """Some container engines let the machine's firewall judge, and drop, what crosses any bridge."""
    setting = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    judged = setting.exists() and setting.read_text().strip() == "1"
    dropped = judged and shutil.which("iptables") is not None and "-P FORWARD DROP" in _forward_rules()
    problem = "the machine's firewall drops what one lab host sends to another"
    return _finding("firewall", not dropped, problem, "sysctl -w net.bridge.bridge-nf-call-iptables=0")


def _forward_rules() -> str:
    return run("iptables", "-S", "FORWARD", check=False)


CHECKS: tuple[Callable[[], Finding], ...] = (
    _root,
    _system,
    _python,
    _packages,
    _tools,
    _openssh,
    _disk,
    _inotify,
    _overlay,
    _namespaces,
    _cgroups,
    _forwarding,
)
