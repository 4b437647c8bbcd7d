"""One lab host: its disk, its power switch, and whether it answers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from remediate.lab import cgroups, keys, network
from remediate.lab.command import LabError, run
from remediate.lab.data import FILES, write
from remediate.lab.image import mount_overlay
from remediate.lab.layout import Layout
from remediate.lab.roster import Host
from remediate.lab.seed import seed

SSH_PORT = 22
#: What there can be of a disk, in the order in which it is thrown away: first what could be taken for one.
DISK = "upper.next.part upper.next snapshots.gone snapshots upper.gone upper upper.part work root".split()


@dataclass(frozen=True, slots=True)
class Machine:
    """A host in a lab. Everything about its state is read from the machine, nothing is remembered."""

    layout: Layout
    host: Host

    @property
    def folder(self) -> Path:
        """Where its disk and its console's output are."""
        return self.layout.hosts / self.host.name

    @property
    def address(self) -> str:
        """Its address."""
        return network.address(self.layout, self.host)

    @property
    def group(self) -> str:
        """Its control group."""
        return f"{self.layout.prefix}/{self.host.name}"

    def on(self) -> bool:
        """Whether it has power: its supervisor or anything inside runs."""
        return bool(cgroups.processes(self.group))

    def power_on(self, layers: tuple[Path, ...], neighbours: tuple[Host, ...]) -> None:
        """Start it with the disk it has, or a pristine one; returns before it has booted.

        A disk that was written over other layers than these can't be used over these and is replaced.
        """
        if self.on():
            return
        self._clear()
        wanted = "\n".join(layer.name for layer in layers)
        upper, made_over = self.folder / "upper", self.folder / "layers"
        if not made_over.exists() or made_over.read_text() != wanted:
            self._discard()
            write(made_over, wanted)
        self.take_next_disk()
        if not upper.exists():
            seed(self.layout, self.host, neighbours, upper)
        self._boot(layers)

    def boot(self) -> None:
        """Start it with the disk it has, over the layers that this was written over."""
        if self.on():
            return
        self._clear()
        names = (self.folder / "layers").read_text().split()
        self._boot(tuple(self.layout.cache / name for name in names))

    def _boot(self, layers: tuple[Path, ...]) -> None:
        upper, work, root = (self.folder / name for name in ("upper", "work", "root"))
        for folder in (work, root):
            folder.mkdir(exist_ok=True)
        mount_overlay(layers, upper, work, root)
        namespace = network.plug(self.layout, self.host)
        self._start(root, namespace)

    def _start(self, root: Path, namespace: Path) -> None:
        """Start the supervisor in a session of its own: it outlives this command and its terminal."""
        nspawn = (
            "systemd-nspawn",
            "--quiet",
            f"--directory={root}",
            f"--machine={self.layout.link(self.host.name)}",
            f"--hostname={self.host.name}",
            "--boot",
            "--register=no",
            "--keep-unit",
            f"--network-namespace-path={namespace}",
            "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
            "--console=pipe",
            "--kill-signal=SIGRTMIN+3",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
        )
        # A copy, because a shell reads its script while it runs, and a clone may change under it.
        supervisor = self.folder / "supervise.sh"
        write(supervisor, (FILES / "supervise.sh").read_text())
        groups = cgroups.create(self.group)
        for part in ("loop", "host"):
            cgroups.create(f"{self.group}/{part}")
        with (self.folder / "console.log").open("ab") as console:
            subprocess.run(
                ["setsid", "--fork", "/bin/sh", supervisor, *groups, "--", *nspawn],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                check=True,
                cwd="/",
            )

    def power_off(self) -> None:
        """Cut the power: everything inside ends at once; the disk and the cable stay."""
        cgroups.kill(self.group)
        self._clear()

    def take_next_disk(self) -> None:
        """Put ``upper.next``, a whole disk that waits beside this one, in its place; the power must be off.

        Killed at any point, it goes on from there when it is called again.
        """
        following, upper, gone = (self.folder / name for name in ("upper.next", "upper", "upper.gone"))
        if not following.exists():
            return
        if upper.exists():
            if gone.exists():
                shutil.rmtree(gone)
            upper.rename(gone)
        # What the kernel keeps here belongs to the old disk.
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        following.rename(upper)
        shutil.rmtree(gone, ignore_errors=True)

    def signal_init(self, number: int) -> None:
        """Send a signal to the host's own first process: systemd takes some as commands."""
        for pid in cgroups.processes(f"{self.group}/host"):
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                seen_inside = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
                # Outside and inside: nspawn itself has one number only.
                if len(seen_inside) > 2 and seen_inside[-1] == "1":
                    os.kill(pid, number)

    def _clear(self) -> None:
        """Remove the mount and the control group of a host without power."""
        root = self.folder / "root"
        while root.is_mount():
            try:
                run("umount", "--recursive", root)
            except LabError:
                # Something of the machine looks into it: it goes away when the last look ends.
                run("umount", "--recursive", "--lazy", root)
        cgroups.remove(self.group)

    def _discard(self) -> None:
        """Throw the disk away: at once, so that half of one is never taken for a disk."""
        for name in DISK:
            folder = self.folder / name
            if name in ("upper", "snapshots") and folder.exists():
                folder = folder.rename(folder.with_suffix(".gone"))
            if folder.exists():
                self._remove(folder)

    def _remove(self, folder: Path) -> None:
        """Remove a part of the disk, also if a mount that a killed command had begun comes up only now."""
        try:
            shutil.rmtree(folder)
        except OSError:
            if not (self.folder / "root").is_mount():
                raise
            self._clear()
            shutil.rmtree(folder)

    def reset(self, layers: tuple[Path, ...], neighbours: tuple[Host, ...]) -> None:
        """Cut the power and start it with a pristine disk and its cable plugged in."""
        self.power_off()
        self._discard()
        self.power_on(layers, neighbours)

    def remove(self) -> None:
        """Take it away with its disk; what stays are its keys, so that clients know it when it is back."""
        self.power_off()
        self._discard()
        network.unplug(self.layout, self.host.name)
        for left in self.folder.glob("*"):
            # Also files that others put beside the disk, as nspawn does with its lock.
            if left.name != keys.FOLDER:
                left.unlink()

    def answers(self, timeout: float = 0.5) -> bool:
        """Whether sshd sends its greeting within ``timeout`` seconds."""
        with suppress(OSError), socket.create_connection((self.address, SSH_PORT), timeout) as connection:
            connection.settimeout(timeout)
            return connection.recv(4) == b"SSH-"
        return False

    def wait(self, seconds: float) -> None:
        """Wait until sshd answers."""
        deadline = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > deadline:
                log = self.folder / "console.log"
                raise LabError(f"{self.host.name} does not answer SSH after {seconds:g} s", f"read {log}")
            time.sleep(0.05)
