"""The hosts' root file systems: layers that are built once and cached.

``base`` is the distribution, ``common`` what every lab host has; on top is one for each role. A layer is
the upper directory of an overlay over those below it, named by a digest of its recipe; so a change in a
role's files builds that role again, in seconds, and not the distribution.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from remediate.lab import cgroups, databases, debs, payments, router_image
from remediate.lab.command import run
from remediate.lab.data import FILES, digest, write
from remediate.lab.distro import distro, sources
from remediate.lab.interface import Progress
from remediate.lab.locks import locked
from remediate.lab.root import Root, apt_settings
from remediate.lab.roster import Role

#: What every host has installed.
PACKAGES = (
    "systemd systemd-sysv dbus openssh-server sudo iproute2 procps iputils-ping ca-certificates curl less "
    "python3 python3-apt cron logrotate nginx-light haproxy socat openssl"
).split()

#: Not for a container without network, or not for every role.
SWITCHED_OFF = (
    "nginx.service haproxy.service e2scrub_reap.service e2scrub_all.timer fstrim.timer apt-daily.timer "
    "apt-daily-upgrade.timer getty@tty1.service systemd-pstore.service remote-fs.target"
).split()

#: Nobody sits at the console, and what a container's manager has mounted needs no second time: each of
#: these costs every boot of every host.
MASKED = (
    "console-getty.service systemd-networkd-wait-online.service systemd-remount-fs.service "
    "dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount systemd-update-utmp.service "
    "systemd-update-utmp-runlevel.service"
).split()

#: Recipes change and distributions are upgraded: a layer that nobody used for this long goes.
KEEP_SECONDS = 30 * 24 * 3600

OPS_ID = "1000"
_REFUSE_START = "#!/bin/sh\nexit 101\n"


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How to make one layer; ``key`` changes whenever the result would."""

    name: str
    key: str
    build: Callable[[Root], None]


def layers(role: Role, cache: Path, progress: Progress, *, pays: bool = False) -> tuple[Path, ...]:
    """The layers for ``role``, top first, ready to be an overlay's lower directories.

    ``pays``: with the payment module, if it is a web host.
    """
    with locked(cache / "lock", progress):
        _sweep(cache)
        base = _base(cache, progress)
        common = _layer(cache, (base,), _common(), progress)
        top = _layer(cache, (common, base), _role(role), progress)
        found: tuple[Path, ...] = (top, common, base)
        if pays and role == "web":
            found = (_layer(cache, found, _payments(), progress), *found)
        _forget(cache, found)
        return found


def sweep(cache: Path, progress: Progress) -> None:
    """End and remove what builds that died have left."""
    with locked(cache / "lock", progress):
        _sweep(cache)


def _sweep(cache: Path) -> None:
    """Only called with the lock held, so nobody is building: whatever is there lost its command."""
    group = _group(cache)
    cgroups.kill(group)
    cgroups.remove(group)
    for left in cache.glob(".build-*"):
        remove_tree(left)


def _forget(cache: Path, used: tuple[Path, ...]) -> None:
    """Note that layers are ``used``; remove those that nobody has used for long and no host has mounted."""
    marks = cache / "used"
    marks.mkdir(exist_ok=True)
    for layer in used:
        (marks / layer.name).touch()
    mounted = Path("/proc/self/mountinfo").read_text()
    for mark in marks.iterdir():
        layer = cache / mark.name
        if mark.stat().st_mtime < time.time() - KEEP_SECONDS and str(layer) not in mounted:
            if layer.exists():
                remove_tree(layer)
            mark.unlink()


def _group(cache: Path) -> str:
    """The control group of all builds for ``cache``."""
    return f"remediate-build-{digest(str(cache))}"


def remove_tree(folder: Path) -> None:
    """Remove a folder, but nothing that is mounted below it."""
    mounts = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    # What was mounted last lies on top.
    for mount in reversed(mounts):
        if Path(mount).is_relative_to(folder):
            run("umount", "--lazy", mount)
    shutil.rmtree(folder)


def _base(cache: Path, progress: Progress) -> Path:
    """The distribution with its packages, by mmdebstrap."""
    system = distro()
    done = cache / f"base-{system.codename}-{digest(system.name, *PACKAGES)}"
    if done.exists():
        return done
    progress(f"building the base image from {system.name} {system.codename}, once (about a minute)")
    with _workplace(cache) as work:
        files = []
        for kind, text in sources(system.codename).items():
            files.append(work / f"machine.{kind}")
            files[-1].write_text(text)
        run(
            *cgroups.inside(cgroups.create(_group(cache))),
            "mmdebstrap",
            "--mode=root",
            "--format=directory",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "doc", "locale", "info")),
            *(f"--aptopt={line}" for line in apt_settings()),
            system.codename,
            work / "upper",
            *files,
            timeout=1800,
        )
        (work / "upper").rename(done)
    return done


def _layer(cache: Path, below: tuple[Path, ...], recipe: _Recipe, progress: Progress) -> Path:
    """The layer made by ``recipe`` over the layers ``below``."""
    done = cache / f"{recipe.name}-{digest(recipe.key, *(path.name for path in below))}"
    if done.exists():
        return done
    progress(f"building the image layer `{recipe.name}`")
    with _workplace(cache) as work:
        for name in ("upper", "work", "root"):
            (work / name).mkdir()
        # An overlay's root takes the mode of its upper directory.
        (work / "upper").chmod(0o755)
        mount_overlay(below, work / "upper", work / "work", work / "root")
        try:
            policy = write(work / "root/usr/sbin/policy-rc.d", _REFUSE_START, 0o755)
            recipe.build(Root(work / "root", cgroups.create(_group(cache))))
            policy.unlink()
        finally:
            run("umount", work / "root")
        (work / "upper").rename(done)
    return done


@contextmanager
def _workplace(cache: Path) -> Iterator[Path]:
    """A folder beside the finished layers: they appear by a rename, so an unfinished one never counts."""
    work = Path(tempfile.mkdtemp(prefix=".build-", dir=cache))
    try:
        yield work
    finally:
        remove_tree(work)


def mount_overlay(lower: tuple[Path, ...], upper: Path, work: Path, root: Path) -> None:
    """Mount ``upper`` over the ``lower`` directories (top first) at ``root``."""
    options = f"lowerdir={':'.join(map(str, lower))},upperdir={upper},workdir={work}"
    run("mount", "-t", "overlay", "overlay", "-o", options, root)


def _common() -> _Recipe:
    """User ops, sshd, the lab's package repository; nothing that reaches for the outside."""
    recipe = Path(__file__)
    return _Recipe(
        "common", digest(FILES / "common", FILES / "shop", recipe, Path(debs.__file__)), _make_common
    )


def _make_common(root: Root) -> None:
    for left in (root.path / "etc/ssh").glob("ssh_host_*"):
        left.unlink()
    apt = root.path / "etc/apt"
    for left in (apt / "sources.list", apt / "apt.conf.d/99mmdebstrap", *(apt / "sources.list.d").iterdir()):
        left.unlink(missing_ok=True)
    root.copy(FILES / "common")
    (root.path / "etc/sudoers.d/ops").chmod(0o440)
    debs.build_repository(root.path / "srv/apt")
    groups = "adm,systemd-journal"
    root.run("useradd", "--create-home", "--uid", OPS_ID, "--groups", groups, "--shell", "/bin/bash", "ops")
    for unit in SWITCHED_OFF:
        root.run("systemctl", "disable", unit, check=False)
    root.run("systemctl", "mask", *MASKED)
    # Hosts are there to be logged in to as soon as sshd answers.
    (root.path / "etc/tmpfiles.d/systemd-nologin.conf").symlink_to("/dev/null")
    root.run("apt-get", "update")


def _role(role: Role) -> _Recipe:
    """What ``role`` needs over the common layer."""
    match role:
        case "web":
            make, module = _make_web, __file__
        case "lb":
            make, module = _make_lb, __file__
        case "frr":
            make, module = router_image.make_frr, router_image.__file__
        case "bird":
            make, module = router_image.make_bird, router_image.__file__
        case "desk":
            make, module = router_image.make_desk, router_image.__file__
        case "db":
            make, module = databases.make_db, databases.__file__
        case _:
            assert_never(role)
    files = (FILES / role,) if (FILES / role).exists() else ()
    return _Recipe(role, digest(*files, Path(module)), make)


def _payments() -> _Recipe:
    """The payment module, over the layer of web hosts."""
    key = digest(FILES / "payments", FILES / "pay", Path(payments.__file__), Path(debs.__file__))
    return _Recipe("payments", key, payments.make_payments)


def _make_web(root: Root) -> None:
    root.copy(FILES / "web")
    enabled = root.path / "etc/nginx/sites-enabled"
    (enabled / "default").unlink()
    (enabled / "shop").symlink_to("../sites-available/shop")
    root.run("apt-get", "install", "--yes", f"shop={debs.SHOP.first}")
    root.run("systemctl", "enable", "nginx.service")


def _make_lb(root: Root) -> None:
    # The configuration names the pool's servers, so each lab writes its own.
    root.run("systemctl", "enable", "haproxy.service")
