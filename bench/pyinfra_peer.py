"""pyinfra as a peer. It lives in an environment of its own, because it needs an older paramiko than we do."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from bench.measure import command
from bench.workplace import REPO, Workplace
from remediate.lab.network import address
from remediate.lab.roster import roster

VERSION = "3.10.0"


def program() -> Path:
    """The program, installed now if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "remediate-bench" / f"pyinfra-{VERSION}"
    found = folder / "bin" / "pyinfra"
    if not found.exists():
        print(f"installing pyinfra {VERSION} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", f"pyinfra=={VERSION}"], check=True)
    return found


def write_inventory(place: Workplace) -> Path:
    """The measured hosts in pyinfra's own form, with host keys checked."""
    layout = place.hosts.layout
    data = {
        "ssh_user": "ops",
        "ssh_key": str(layout.ssh_key),
        "ssh_known_hosts_file": str(layout.known_hosts),
        "ssh_strict_host_key_checking": "yes",
    }
    hosts = [(address(layout, host), data) for host in roster(place.hosts.total)]
    file = place.root / "pyinfra_inventory.py"
    file.write_text(f"hosts = {hosts!r}\n")
    return file


def run(place: Workplace, inventory: Path) -> float:
    """Seconds of one deploy."""
    deploy = REPO / "bench" / "peers" / "pyinfra_deploy.py"
    words: list[str | Path] = [inventory, deploy, "-y", "--sudo", "--data", f"value={place.value()}"]
    return command([program(), *words], place.log)
