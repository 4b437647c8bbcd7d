"""A server with MongoDB's protocol: mongo-java-server, in memory, unprivileged, on loopback only.

MongoDB's own server is in no package archive. This one has no sessions, no transactions, no accounts and no
TLS; queries, updates and their errors are what they are with MongoDB.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

from remediate.lab import cgroups
from remediate.lab.command import LabError, run
from remediate.lab.data import FILES, digest
from remediate.lab.interface import Item, Progress
from remediate.lab.layout import MAIN, Layout
from remediate.lab.locks import locked

SOURCE = FILES / "mongodb"
#: A Java that compiles, and Maven to fetch the rest.
PACKAGES = ("openjdk-17-jdk-headless", "maven")
USER = "nobody"
BUILD_SECONDS = 600.0
START_SECONDS = 30.0
#: It starts quickly and stays small.
_JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xms16m", "-Xmx128m")


class MongoDB:
    """The server of one lab; what it holds is lost when it stops.

    Args:
        layout: which lab; each has a port of its own, from 20005 on.
    """

    name = "mongodb"

    def __init__(self, layout: Layout = MAIN) -> None:
        self.root = layout.home / "mongodb"
        self.built = layout.cache / "mongodb"
        self.port = 20005 + 10 * int(layout.network.split(".")[2])
        self._group = f"{layout.prefix}-mongodb"

    @property
    def classes(self) -> Path:
        """Folder of this version's program and its libraries."""
        return self.built / f"server-{digest(SOURCE)}"

    # Component

    def packages(self) -> tuple[str, ...]:
        """Debian's."""
        return PACKAGES

    def up(self, progress: Progress) -> None:
        """Build it, once (a quarter of a minute), and start it (half a second)."""
        with locked(self.built / "lock", progress):
            self._build(progress)
        with locked(self.root / "lock", progress):
            if cgroups.processes(self._group) and self._answers():
                return
            progress(f"starting a server with MongoDB's protocol at 127.0.0.1:{self.port}")
            self._stop()
            self._start()

    def down(self) -> None:
        """End it, also what a crash has left."""
        if self.root.exists():
            with locked(self.root / "lock", lambda _line: None):
                self._stop()

    def reset(self, progress: Progress) -> None:
        """Start anew, empty."""
        self.down()
        self.up(progress)

    def status(self) -> tuple[Item, ...]:
        """Whether it runs and answers."""
        address = f"127.0.0.1:{self.port}"
        if not cgroups.processes(self._group):
            return (Item(self.name, address, "down"),)
        if not self._answers():
            return (Item(self.name, address, "broken", f"runs, but does not answer; see {self._log}"),)
        return (Item(self.name, address, "up"),)

    # Machinery

    @property
    def _log(self) -> Path:
        return self.root / "log"

    def _build(self, progress: Progress) -> None:
        if self.classes.exists():
            return
        progress("building a server with MongoDB's protocol, once (3 MB)")
        part = self.built / "part"
        shutil.rmtree(part, ignore_errors=True)
        run(
            "mvn",
            "--batch-mode",
            "--quiet",
            f"--file={SOURCE / 'pom.xml'}",
            f"-Dmaven.repo.local={self.built / 'repository'}",
            f"-DoutputDirectory={part}",
            "dependency:copy-dependencies",
            timeout=BUILD_SECONDS,
        )
        run("javac", "-cp", f"{part}/*", "-d", part, SOURCE / "LabMongo.java")
        for older in self.built.glob("server-*"):
            shutil.rmtree(older)
        part.rename(self.classes)
        shutil.rmtree(self.built / "repository", ignore_errors=True)

    def _start(self) -> None:
        user = pwd.getpwnam(USER)
        data = self.root / "data"
        data.mkdir(parents=True, exist_ok=True)
        os.chown(data, user.pw_uid, user.pw_gid)
        enter = cgroups.inside(cgroups.create(self._group))
        become = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--")
        program = (*_JAVA, "-cp", f"{self.classes}:{self.classes}/*", "LabMongo", str(self.port))
        with self._log.open("ab") as log:
            subprocess.run(
                ["setsid", "--fork", *enter, *become, *program],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=data,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                check=True,
            )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > until:
                self._stop()
                tail = self._log.read_text(errors="replace").strip()[-2000:]
                raise LabError(f"the server did not start: {tail}", f"read {self._log}")
            time.sleep(0.02)

    def _stop(self) -> None:
        cgroups.kill(self._group)
        cgroups.remove(self._group)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        except OSError:
            return False
        return True
