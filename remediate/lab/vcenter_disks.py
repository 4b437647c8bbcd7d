"""Snapshots of a lab host's disk: copies of the upper directory that is all that a host has written."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from remediate.lab import cgroups
from remediate.lab.command import LabError, run
from remediate.lab.machine import Machine

COPY_SECONDS = 300.0


class NoRoom(LabError):
    """A snapshot would take more than there is."""


@dataclass(frozen=True, slots=True)
class Disks:
    """The disk of one host and its snapshots, each a folder of its own below ``snapshots``.

    Whoever calls holds the lab's hosts (``hosts.lock``), and nobody else works on this host.
    """

    machine: Machine

    @property
    def folder(self) -> Path:
        """Where the snapshots are."""
        return self.machine.folder / "snapshots"

    def create(self, name: str, room: int) -> int:
        """Copy the disk as it is at one instant; a running host stands still meanwhile (15 ms and up).

        Args:
            name: of the snapshot, as a folder; must not be there.
            room: bytes that it may take.

        Returns:
            the bytes that it takes.

        Raises:
            NoRoom: it would take more.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        part = self.folder / f"{name}.part"
        with ExitStack() as stack:
            if self.machine.on():
                stack.enter_context(cgroups.frozen(self.machine.group))
                run("sync", "--file-system", self.machine.folder / "root")
            size = _size(self.machine.folder / "upper")
            if size > room:
                raise NoRoom(f"the snapshot takes {size} bytes, and {room} are free")
            _copy(self.machine.folder / "upper", part)
        part.rename(self.folder / name)
        return size

    def revert(self, name: str, *, power: bool) -> None:
        """Put the disk of a snapshot in place, without asking the host; it is booted if ``power``.

        Raises:
            LabError: there is no such snapshot.
        """
        source = self.folder / name
        if not source.is_dir():
            raise LabError(f"{self.machine.host.name} has no snapshot {name}")
        following = self.machine.folder / "upper.next"
        part = self.machine.folder / "upper.next.part"
        _copy(source, part)
        part.rename(following)
        self.machine.power_off()
        self.machine.take_next_disk()
        if power:
            self.machine.boot()

    def remove(self, names: Iterable[str]) -> None:
        """Remove snapshots; one that is not there is none."""
        for name in names:
            gone = self.folder / f"{name}.gone"
            if (self.folder / name).exists():
                (self.folder / name).rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def mend(self, keep: Iterable[str]) -> None:
        """Tidy up after a death at any point: the host goes on, a revert that was under way is completed.

        Args:
            keep: the snapshots that stay.
        """
        cgroups.thaw(self.machine.group)
        shutil.rmtree(self.machine.folder / "upper.next.part", ignore_errors=True)
        if (self.machine.folder / "upper.next").exists():
            self.machine.power_off()
            self.machine.take_next_disk()
        if self.folder.is_dir():
            stay = set(keep)
            self.remove(
                path.name for path in list(self.folder.iterdir()) if path.is_dir() and path.name not in stay
            )


def _size(folder: Path) -> int:
    """Bytes that a folder takes on the disk."""
    return int(run("du", "--summarize", "--block-size=1", folder).split()[0])


def _copy(source: Path, target: Path) -> None:
    """Copy a folder with everything that an overlay keeps in it: whiteouts, and attributes of its own."""
    if target.exists():
        shutil.rmtree(target)
    run("cp", "--archive", "--reflink=auto", source, target, timeout=COPY_SECONDS)
