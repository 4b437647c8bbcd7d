"""A root file system in the making: what the recipes of image layers work on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from remediate.lab import cgroups
from remediate.lab.command import run
from remediate.lab.distro import distro, sources

RESOLVER = Path("etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class Root:
    """A root file system in the making; whatever runs in it runs in control groups of its own."""

    path: Path
    groups: tuple[Path, ...]

    def run(self, *argv: str, check: bool = True) -> None:
        """Run a command inside, with nothing of this machine's environment."""
        clean = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive")
        into = (*cgroups.inside(self.groups), "chroot", str(self.path))
        run(*into, *clean, "LC_ALL=C.UTF-8", *argv, check=check, timeout=600)

    def copy(self, source: Path) -> None:
        """Copy a tree of data files over it, with modes that don't depend on the clone's umask."""
        for path in sorted(source.rglob("*")):
            target = self.path / path.relative_to(source)
            if path.is_dir() and not target.exists():
                target.mkdir()
                target.chmod(0o755)
            elif not path.is_dir():
                shutil.copyfile(path, target)
                target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)

    def install(self, *packages: str) -> None:
        """Install packages of the distribution from the machine's own sources, which don't stay inside."""
        with self._sources():
            self.run("apt-get", "update")
            self.run("apt-get", "install", "--yes", "--no-install-recommends", *packages)
        self.run("apt-get", "clean")
        # Also forgets the lists of the sources that are gone.
        self.run("apt-get", "update")

    @contextmanager
    def _sources(self) -> Iterator[None]:
        """Let apt inside reach what apt on the machine reaches."""
        apt, resolver = self.path / "etc/apt", self.path / RESOLVER
        lent = {apt / f"sources.list.d/machine.{kind}": text for kind, text in _sources().items()}
        lent[apt / "apt.conf.d/99machine"] = "".join(f"{line}\n" for line in apt_settings())
        before = resolver.read_text() if resolver.exists() else ""
        for path, text in lent.items():
            path.write_text(text)
        resolver.write_text((Path("/") / RESOLVER).read_text())
        try:
            yield
        finally:
            for path in lent:
                path.unlink()
            resolver.write_text(before)


def _sources() -> dict[str, str]:
    return sources(distro().codename)


def apt_settings() -> list[str]:
    """What apt on this machine needs to reach its sources: proxies, and how old their lists may be."""
    dump = run("apt-config", "dump", "Acquire")
    found = []
    for line in dump.splitlines():
        name = line.split(" ")[0].lower()
        if "::proxy" in name or name.startswith("acquire::check-"):
            found.append(line)
    return found
