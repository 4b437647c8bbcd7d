"""The lab's monitoring: Prometheus, its node exporter and Alertmanager, unprivileged, on loopback only.

Below HOME/monitoring: ``etc`` (configuration, written anew at each start), ``data``, ``targets`` (files that
name more servers to scrape, as Prometheus' ``file_sd_config`` reads them), and a log for each program.
"""

from __future__ import annotations

import http.client
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from remediate.lab import cgroups
from remediate.lab.command import LabError
from remediate.lab.data import FILES, write
from remediate.lab.interface import Item, Progress
from remediate.lab.layout import MAIN, Layout
from remediate.lab.locks import locked

SOURCE = FILES / "prometheus"
PACKAGES = ("prometheus", "prometheus-node-exporter", "prometheus-alertmanager")
#: Whom all of it runs as; whoever that is may do nothing else.
USER = "nobody"
START_SECONDS = 30.0
VANISHED_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Program:
    """One of the three."""

    name: str
    address: str
    ready: str
    argv: Sequence[str]


class Monitoring:
    """The monitoring of one lab.

    Args:
        layout: which lab; each has three ports of its own, from 20000 on.
    """

    name = "monitoring"

    def __init__(self, layout: Layout = MAIN) -> None:
        self.layout = layout
        self.root = layout.home / "monitoring"
        first = 20000 + 10 * int(layout.network.split(".")[2])
        self.prometheus, self.node, self.alertmanager = (f"127.0.0.1:{first + n}" for n in range(3))

    @property
    def url(self) -> str:
        """Address of Prometheus."""
        return f"http://{self.prometheus}"

    @property
    def targets(self) -> Path:
        """Folder for files that name more servers to scrape."""
        return self.root / "targets"

    # Component

    def packages(self) -> tuple[str, ...]:
        """Debian's."""
        return PACKAGES

    def up(self, progress: Progress) -> None:
        """Start what does not run (a third of a second)."""
        with locked(self.root / "lock", progress):
            for program in self._programs():
                if cgroups.processes(self._group(program)) and _answers(program):
                    continue
                progress(f"starting {program.name} at http://{program.address}/")
                self._stop(program)
                self._start(program)

    def down(self) -> None:
        """End all of it, also what a crash has left; what was measured stays."""
        if self.root.exists():
            with locked(self.root / "lock", _silent):
                for program in self._programs():
                    self._stop(program)
                cgroups.remove(self._groups)

    def reset(self, progress: Progress) -> None:
        """Start anew, with nothing measured and nobody else to scrape."""
        self.down()
        for name in ("data", "targets"):
            shutil.rmtree(self.root / name, ignore_errors=True)
        self.up(progress)

    def status(self) -> tuple[Item, ...]:
        """Whether each of them runs and answers."""
        return tuple(self._item(program) for program in self._programs())

    # Machinery

    def _item(self, program: Program) -> Item:
        url = f"http://{program.address}/"
        if not cgroups.processes(self._group(program)):
            return Item(program.name, url, "down")
        if not _answers(program):
            log = self.root / f"{program.name}.log"
            return Item(program.name, url, "broken", f"runs, but does not answer; see {log}")
        return Item(program.name, url, "up")

    @property
    def _groups(self) -> str:
        return f"{self.layout.prefix}-monitoring"

    def _group(self, program: Program) -> str:
        return f"{self._groups}/{program.name}"

    def _programs(self) -> tuple[Program, ...]:
        etc, data = self.root / "etc", self.root / "data"
        return (
            Program(
                "node-exporter",
                self.node,
                "/",
                ("/usr/bin/prometheus-node-exporter", f"--web.listen-address={self.node}"),
            ),
            Program(
                "alertmanager",
                self.alertmanager,
                "/-/ready",
                (
                    "/usr/bin/prometheus-alertmanager",
                    f"--config.file={etc / 'alertmanager.yml'}",
                    f"--storage.path={data / 'alertmanager'}",
                    f"--web.listen-address={self.alertmanager}",
                    "--cluster.listen-address=",
                ),
            ),
            Program(
                "prometheus",
                self.prometheus,
                "/-/ready",
                (
                    "/usr/bin/prometheus",
                    f"--config.file={etc / 'prometheus.yml'}",
                    f"--storage.tsdb.path={data / 'prometheus'}",
                    "--storage.tsdb.retention.time=1d",
                    "--storage.tsdb.retention.size=64MB",
                    f"--web.listen-address={self.prometheus}",
                    "--log.level=warn",
                ),
            ),
        )

    def _configure(self) -> None:
        etc = self.root / "etc"
        self.root.mkdir(parents=True, exist_ok=True)
        self.targets.mkdir(exist_ok=True)
        text = (SOURCE / "prometheus.yml").read_text()
        places: Mapping[str, object] = {
            "prometheus": self.prometheus,
            "node": self.node,
            "alertmanager": self.alertmanager,
            "targets": self.targets,
            "rules": etc / "rules",
        }
        for name, value in places.items():
            text = text.replace(f"{{{name}}}", str(value))
        write(etc / "prometheus.yml", text)
        for name, place in {"alerts.yml": "rules/alerts.yml", "alertmanager.yml": "alertmanager.yml"}.items():
            write(etc / place, (SOURCE / name).read_text())

    def _start(self, program: Program) -> None:
        self._configure()
        user = pwd.getpwnam(USER)
        data = self.root / "data" / program.name
        data.mkdir(parents=True, exist_ok=True)
        os.chown(data, user.pw_uid, user.pw_gid)
        enter = cgroups.inside(cgroups.create(self._group(program)))
        become = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--")
        with (self.root / f"{program.name}.log").open("ab") as log:
            subprocess.run(
                ["setsid", "--fork", *enter, *become, *program.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=data,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                check=True,
            )
        self._await_answer(program)

    def _await_answer(self, program: Program) -> None:
        # For a moment the new process is not in its group yet.
        began = seen = time.monotonic()
        while not _answers(program):
            now = time.monotonic()
            seen = now if cgroups.processes(self._group(program)) else seen
            if now - seen > VANISHED_SECONDS or now - began > START_SECONDS:
                self._stop(program)
                log = self.root / f"{program.name}.log"
                tail = log.read_text(errors="replace").strip()[-2000:]
                raise LabError(f"{program.name} did not start: {tail}", f"read {log}")
            time.sleep(0.02)

    def _stop(self, program: Program) -> None:
        cgroups.kill(self._group(program))
        cgroups.remove(self._group(program))


def _answers(program: Program) -> bool:
    host, _, port = program.address.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=2)
    try:
        connection.request("GET", program.ready)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _silent(_line: str) -> None:
    """Progress for whoever wants none."""
