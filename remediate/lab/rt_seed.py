"""Builds the lab tracker's database: Request Tracker's own installer, then our queue, users and tokens.

A seed is a folder with the finished database and the secrets that go with it, named after what it was built
from. It is built beside its place and renamed when complete: a half-seeded one is never taken for finished.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from remediate.lab.command import LabError, run
from remediate.lab.data import FILES, digest, write
from remediate.lab.interface import Progress

SOURCE = FILES / "rt"
DATABASE = "rt.sqlite"
#: Users that get a token; the names of the files are ``NAME.token``.
USERS = ("remediate", "alice", "carol", "dan", "customer")
ROOT_PASSWORD = "root_password"  # noqa: S105 - a file's name

PACKAGES = ("request-tracker5", "rt5-db-sqlite", "rt5-standalone")
ADVICE = f"apt-get install --no-install-recommends {' '.join(PACKAGES)}"


def environment(home: Path, database: Path, port: int, config: Path) -> dict[str, str]:
    """What a program of RT needs to work on ``database`` only; nothing else of ours is inherited.

    Args:
        home: folder for caches, sessions and the mail file.
        database: the SQLite file, absolute.
        port: the port that links in mails and answers point to.
        config: the site configuration.
    """
    return {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "LC_ALL": "C.UTF-8",
        "RT_SITE_CONFIG": str(config),
        "RT_SITE_CONFIG_DIR": os.devnull,  # else Debian's own snippets below /etc would win
        "RT_LAB_HOME": str(home),
        "RT_LAB_DATABASE": str(database),
        "RT_LAB_PORT": str(port),
    }


def make_folders(home: Path) -> None:
    """Create the folders that RT expects to find below its home."""
    for name in ("mason", "sessions"):
        (home / "var" / name).mkdir(parents=True, exist_ok=True)


def build(root: Path, port: int, progress: Progress) -> Path:
    """Return the seed for today's files and package, building it (about 8 s) when it is missing."""
    seed = root / f"seed-{digest(SOURCE, _installed_version())}"
    if seed.is_dir():
        return seed
    progress("seeding Request Tracker (about 10 s)")
    root.mkdir(parents=True, exist_ok=True)
    for leftover in root.glob("build-*"):
        shutil.rmtree(leftover)
    work = Path(tempfile.mkdtemp(prefix="build-", dir=root))
    content = work / "content"
    content.mkdir(mode=0o700)
    _fill(work, content, port)
    content.rename(seed)
    shutil.rmtree(work)
    for old in root.glob("seed-*"):
        if old != seed:
            shutil.rmtree(old)
    return seed


def _fill(work: Path, content: Path, port: int) -> None:
    """Initialise a database in ``content`` and seed it; ``work`` takes what RT writes on the side."""
    make_folders(work)
    password = content / ROOT_PASSWORD
    write(password, f"{secrets.token_urlsafe(24)}\n", 0o600)
    env = environment(work, content / DATABASE, port, SOURCE / "RT_SiteConfig.pm")
    setup = (
        "rt-setup-database-5",
        "--action",
        "init",
        "--skip-create",
        "--root-password-file",
        str(password),
    )
    _perl(setup, content, env)
    _perl(("perl", str(SOURCE / "seed.pl"), str(SOURCE / "initialdata.pl")), content, env)
    missing = [
        name for name in (DATABASE, *(f"{user}.token" for user in USERS)) if not (content / name).is_file()
    ]
    if missing:
        raise LabError(f"seeding Request Tracker left no {', '.join(missing)}")


def _perl(argv: tuple[str, ...], folder: Path, env: dict[str, str]) -> None:
    """Run one of RT's programs in ``folder``."""
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"`{argv[0]}` is not installed", ADVICE) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{argv[0]}` did not end within 180 s") from error
    if done.returncode != 0:
        raise LabError(
            f"`{argv[0]}` ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}"
        )


def _installed_version() -> str:
    """Version of the package: another one may want another schema."""
    version = run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", PACKAGES[0], check=False)
    if not version.startswith("ii"):
        raise LabError("Request Tracker is not installed", ADVICE)
    return version
