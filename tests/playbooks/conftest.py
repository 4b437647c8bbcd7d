"""A lab of one web host behind a load balancer, and copies of this project over it for Molecule."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from remediate.lab.inventory import write_inventory
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from tests.docs.blocks import DOCS, ROOT, blocks, commands

PAGE = DOCS / "testing-playbooks.md"
#: Fixed, so that the next session finds and removes what a killed one has left.
LAYOUT = Layout(Path("/var/lib/remediate-lab-molecule"), "rmmol", "10.213.101")
TOTAL = 2
_SECONDS = 300


@dataclass(frozen=True)
class Ended:
    """What Molecule said: its exit code, how each action ended, and all the rest."""

    code: int
    actions: list[tuple[str, str]]
    output: str

    def passed(self) -> set[str]:
        """The actions of which none ended in another way than well."""
        bad = {action for action, end in self.actions if end != "Successful"}
        return {action for action, _ in self.actions} - bad


@dataclass
class Project:
    """This project over the private lab."""

    root: Path
    lab: Hosts
    home: Path
    """What Ansible and Molecule keep; a short path, for a socket has at most 107 bytes of name."""

    def shell(self, line: str) -> Ended:
        """Type a command in the project's folder."""
        programs = f"{Path(sys.executable).parent}:{os.defpath}:/usr/sbin:/sbin"
        environment = {"PATH": programs, "HOME": str(self.home), "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        actions = re.findall(r"^\w+ > (\w+): Executed: (\w+)", done.stdout, re.MULTILINE)
        return Ended(done.returncode, actions, done.stdout)

    def state(self) -> str:
        """What a scenario may change on the host, and has to bring back."""
        files = "/etc/shop/shop.conf /etc/nginx/tls /usr/bin/shop"
        script = (
            f"find {files} -printf '%p %m %u\\n' | sort; find {files} -type f | sort | xargs sha256sum;"
            " dpkg-query -W shop; systemctl is-active shop nginx; ls /tmp"
        )
        done = self.lab.exec("web1", ["sudo", "sh", "-c", script])
        assert done.returncode == 0, done
        return done.stdout

    def end(self) -> None:
        """End the connections that Ansible keeps open."""
        for socket in (self.home / ".ansible/cp").glob("*"):
            subprocess.run(
                ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "-"], capture_output=True, check=False
            )


@pytest.fixture(scope="session")
def lab() -> Iterator[Hosts]:
    """lb1 and web1; one session at a time on this machine."""
    hosts = Hosts(LAYOUT, TOTAL)
    with locked(Path("/run") / f"{LAYOUT.home.name}.lock", lambda _: None):
        hosts.down()
        try:
            hosts.up(lambda _: None)
            yield hosts
        finally:
            hosts.down()
            shutil.rmtree(LAYOUT.home, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Path]:
    """Gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mol-") as folder:
        yield Path(folder)


@pytest.fixture
def project(lab: Hosts, tmp_path: Path, home: Path) -> Iterator[Project]:
    """Hosts as they were built, and with the shipped files those of the page's example."""
    lab.reset(lambda _: None)
    made = Project(tmp_path / "p", lab, home)
    for name in ("playbooks", "molecule"):
        shutil.copytree(ROOT / name, made.root / name)
    shutil.copy(ROOT / "ansible.cfg", made.root)
    write_inventory(made.root / "inventories/lab", TOTAL, LAYOUT)
    for block in blocks(PAGE):
        if name := block.option("file"):
            path = made.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    for line in typed("cp "):
        assert made.shell(line).code == 0
    yield made
    made.end()


def typed(beginning: str) -> list[str]:
    """The commands of the page that begin like this."""
    lines = [line for block in blocks(PAGE, "console") for _, line in commands(block)]
    return [line for line in lines if line.startswith(beginning)]
