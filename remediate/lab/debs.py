"""The lab's own apt repository: the toy product ``shop`` in three versions."""

from __future__ import annotations

import hashlib
import shutil
from email.utils import formatdate
from pathlib import Path

from remediate.lab.command import run
from remediate.lab.data import FILES

#: Version → whether it still knows the setting ``legacy_checkout``, which web3 has switched on.
VERSIONS = {"1.0-1": "yes", "1.1-1": "yes", "1.2-1": "no"}
FIRST = "1.0-1"
#: Files of the package in which placeholders are replaced.
TEMPLATES = ("DEBIAN/control", "usr/bin/shop")


def build_repository(folder: Path) -> None:
    """Fill ``folder`` with every version of ``shop`` and the index that apt wants (a flat repository)."""
    folder.mkdir()
    stanzas = [_build(folder, version, knows) for version, knows in VERSIONS.items()]
    packages = "\n".join(stanzas)
    (folder / "Packages").write_text(packages)
    size, sha = len(packages.encode()), hashlib.sha256(packages.encode()).hexdigest()
    (folder / "Release").write_text(
        f"Origin: remediate-lab\nLabel: remediate-lab\nDate: {formatdate(usegmt=True)}\n"
        f"SHA256:\n {sha} {size} Packages\n"
    )
    # apt reads it as a user of its own.
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o644)


def _build(folder: Path, version: str, knows: str) -> str:
    """Build one version into ``folder``; returns its stanza for the index."""
    tree = folder / f"shop_{version}"
    shutil.copytree(FILES / "shop", tree)
    for name in TEMPLATES:
        file = tree / name
        text = file.read_text().replace("@VERSION@", version).replace("@KNOWS_LEGACY@", knows)
        file.write_text(text)
    # What git keeps of modes is only the executable bit; the rest depends on the umask of the clone.
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    tree.chmod(0o755)
    deb = folder / f"shop_{version}_all.deb"
    run("dpkg-deb", "--root-owner-group", "--build", tree, deb)
    control = (tree / "DEBIAN" / "control").read_text()
    shutil.rmtree(tree)
    content = deb.read_bytes()
    return (
        f"{control}Filename: ./{deb.name}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )
