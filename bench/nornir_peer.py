"""nornir and netmiko as a peer, in an environment of their own, as their users would install them."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from bench.measure import command
from bench.workplace import REPO, Workplace

PACKAGES = ("nornir==3.6.0", "nornir-netmiko==1.0.1", "netmiko==4.8.0")


def python() -> Path:
    """The environment's interpreter, installed now if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "remediate-bench" / "-".join(p.replace("==", "-") for p in PACKAGES)
    found = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing {', '.join(PACKAGES)} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", *PACKAGES], check=True)
        (folder / "complete").touch()
    return found


def run(place: Workplace, addresses: list[str]) -> float:
    """Seconds of the script."""
    layout = place.hosts.layout
    script = REPO / "bench" / "peers" / "nornir_devices.py"
    words: list[str | Path] = [script, layout.ssh_key, layout.known_hosts, place.value().removeprefix("v")]
    return command([python(), *words, *addresses], place.log)
