"""The lab's vCenter: a real vSphere API whose virtual machines are the lab's hosts.

It is govmomi's simulator with effects (``files/vcenter``): a snapshot copies a host's disk, a revert puts it
back, power switches the host. A reverted host whose memory was kept is booted rather than resumed.

Below HOME/vcenter: ``password`` and ``auditor.password``, ``config.json``, ``control`` (the socket for
``vcenter_faults``), ``log``. Snapshots are beside the disks that they belong to, in HOME/hosts.
"""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
import ssl
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from remediate.lab import ca, cgroups, network, vcenter_build
from remediate.lab.command import LabError
from remediate.lab.data import write
from remediate.lab.hosts import Hosts
from remediate.lab.interface import Item, Progress
from remediate.lab.layout import MAIN, Layout
from remediate.lab.locks import locked
from remediate.lab.roster import by_name

#: Not 127.0.0.1: pyvmomi verifies no certificate of `localhost`.
ADDRESS = "127.0.0.2"
USER = "remediate@lab"
#: May read everything and change nothing.
AUDITOR = "auditor@lab"
CAPACITY = 64 * 2**30
START_SECONDS = 30.0
VANISHED_SECONDS = 2.0
_NAMESPACE = uuid.UUID("6f1b3d0e-6e0f-5a57-9d0a-3f6f1a4f7c11")


def port(layout: Layout) -> int:
    """A port of its own for each lab: 8900 and the third number of its network."""
    return 8900 + int(layout.network.split(".")[2])


def instance_uuid(layout: Layout, host: str) -> str:
    """What a host is called in vCenter for good, also after it was built again."""
    return str(uuid.uuid5(_NAMESPACE, f"{layout.prefix} {host}"))


class VCenter:
    """The vCenter of one lab, for the hosts that are there when it starts.

    Args:
        layout: which lab.
    """

    name = "vcenter"

    def __init__(self, layout: Layout = MAIN) -> None:
        self.layout = layout
        self.root = layout.home / "vcenter"

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"https://{ADDRESS}:{port(self.layout)}/sdk"

    @property
    def group(self) -> str:
        """Control group of everything that runs for it, but for the hosts that it starts."""
        return f"{self.layout.prefix}-vcenter"

    def variables(self) -> dict[str, str | int]:
        """What an inventory says about it; the password as a reference."""
        return {
            "vcenter_hostname": ADDRESS,
            "vcenter_port": port(self.layout),
            "vcenter_username": USER,
            "vcenter_password": f"file:{self.root / 'password'}",
            "vcenter_ca_file": str(self.layout.ca / "ca.pem"),
        }

    # Component

    def packages(self) -> tuple[str, ...]:
        """Go comes from the Python package index, where the machine has none."""
        return ()

    def up(self, progress: Progress) -> None:
        """Build what is missing and start (half a second); one that runs for these hosts is left as it is."""
        with locked(self.root / "lock", progress):
            program = vcenter_build.build(self.layout.cache, progress)
            wanted = self._config()
            config = self.root / "config.json"
            same = config.exists() and config.read_text() == wanted and not self._expires()
            if same and self._runs(program) and self._answers():
                return
            progress(f"starting vCenter at {self.url}")
            self._stop()
            self._certify()
            write(config, wanted, 0o600)
            self._start(program, config)

    def down(self) -> None:
        """End it, also what a crash has left; hosts that it had frozen go on."""
        with locked(self.root / "lock", _silent):
            self._stop()

    def reset(self, progress: Progress) -> None:
        """Start anew. Its snapshots have gone with the disks of the hosts."""
        self.down()
        self.up(progress)

    def status(self) -> tuple[Item, ...]:
        """Whether it runs and answers with its own certificate."""
        if not cgroups.processes(self.group):
            return (Item(self.name, self.url, "down"),)
        if not self._answers():
            return (
                Item(self.name, self.url, "broken", f"runs, but does not answer; see {self.root / 'log'}"),
            )
        return (Item(self.name, self.url, "up"),)

    # Machinery

    def _config(self) -> str:
        users = [
            {"name": USER, "password_file": str(self._password("password")), "read_only": False},
            {"name": AUDITOR, "password_file": str(self._password("auditor.password")), "read_only": True},
        ]
        hook = [sys.executable, "-m", "remediate.lab.vcenter_hook", f"--home={self.layout.home}"]
        hook += [f"--prefix={self.layout.prefix}", f"--network={self.layout.network}"]
        hook += [f"--cache={self.layout.cache}"]
        config = {
            "listen": f"{ADDRESS}:{port(self.layout)}",
            "certificate": str(self.root / "server.crt"),
            "key": str(self.root / "server.key"),
            "control": str(self.root / "control"),
            "hook": hook,
            "effects": "real",
            "capacity": CAPACITY,
            "users": users,
            "machines": [self._machine(name) for name in Hosts(self.layout).names()],
        }
        return json.dumps(config, indent=2) + "\n"

    def _machine(self, name: str) -> dict[str, object]:
        host = by_name(name)
        groups = [str(mount / self.layout.prefix / name) for mount in cgroups.hierarchies()]
        # Its sshd stands for VMware Tools: both tell that the guest is up.
        tools = [f"{group}/host/payload/system.slice/ssh.service" for group in groups]
        return {
            "name": name,
            "instance_uuid": instance_uuid(self.layout, name),
            "address": network.address(self.layout, host),
            "notes": f"lab host, role {host.role}",
            "cpus": 1,
            "memory_mb": 512,
            "snapshots": str(self.layout.hosts / name / "snapshots"),
            "power": groups,
            "tools": tools,
        }

    def _password(self, name: str) -> Path:
        path = self.root / name
        return path if path.exists() else write(path, secrets.token_urlsafe(18) + "\n", 0o600)

    def _certify(self) -> None:
        certificate, key = ca.issue(self.layout.ca, "vcenter.lab", ADDRESS)
        write(self.root / "server.key", key, 0o600)
        write(self.root / "server.crt", certificate)

    def _expires(self) -> bool:
        """Whether the certificate is old; they are made for `ca.SERVER_DAYS`."""
        path = self.root / "server.crt"
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.exists() else None
        return made is None or (datetime.now(UTC) - made).days > ca.SERVER_DAYS // 2

    def _start(self, program: Path, config: Path) -> None:
        scratch = self.root / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        enter = cgroups.inside(cgroups.create(self.group))
        with (self.root / "log").open("ab") as log:
            subprocess.run(
                ["setsid", "--fork", *enter, program, f"-config={config}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(scratch)},
                check=True,
            )
        self._await_answer()

    def _await_answer(self) -> None:
        # For a moment the new process is not in its group yet.
        began = seen = time.monotonic()
        while not self._answers():
            now = time.monotonic()
            seen = now if cgroups.processes(self.group) else seen
            if now - seen > VANISHED_SECONDS or now - began > START_SECONDS:
                self._stop()
                tail = (self.root / "log").read_text(errors="replace").strip()[-2000:]
                raise LabError(f"vCenter did not start: {tail}", f"read {self.root / 'log'}")
            time.sleep(0.02)

    def _stop(self) -> None:
        cgroups.kill(self.group)
        cgroups.remove(self.group)
        for host in cgroups.children(self.layout.prefix):
            cgroups.thaw(f"{self.layout.prefix}/{host}")
        shutil.rmtree(self.root / "tmp", ignore_errors=True)

    def _runs(self, program: Path) -> bool:
        """Whether this very program is what runs, and not one built from older sources."""
        for pid in cgroups.processes(self.group):
            exe = Path(f"/proc/{pid}/exe")
            if exe.exists() and exe.readlink() == program:
                return True
        return False

    def _answers(self) -> bool:
        authority = self.layout.ca / "ca.pem"
        if not authority.exists():
            return False
        context = ssl.create_default_context(cafile=authority)
        connection = http.client.HTTPSConnection(ADDRESS, port(self.layout), timeout=2, context=context)
        try:
            connection.request("GET", "/sdk/vimServiceVersions.xml")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()


def _silent(_line: str) -> None:
    """Progress for whoever wants none."""
