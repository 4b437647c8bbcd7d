"""The lab's own apt repositories: one for each of its products, such as the shop, in several versions."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from remediate.lab.command import run
from remediate.lab.data import FILES


@dataclass(frozen=True, slots=True)
class Product:
    """A package that the lab makes from ``files/NAME``.

    Args:
        name: of the package, and of its program in ``usr/bin``.
        versions: for each, oldest first, what stands for placeholders such as ``@KNOWS_LEGACY@``.
    """

    name: str
    versions: Mapping[str, Mapping[str, str]]

    @property
    def first(self) -> str:
        """What the hosts have at the beginning."""
        return next(iter(self.versions))

    @property
    def templates(self) -> tuple[str, ...]:
        """Files of the package in which placeholders are replaced."""
        return ("DEBIAN/control", f"usr/bin/{self.name}")


#: The last version no longer knows the setting ``legacy_checkout``, which web3 has switched on.
SHOP = Product(
    "shop",
    {"1.0-1": {"KNOWS_LEGACY": "yes"}, "1.1-1": {"KNOWS_LEGACY": "yes"}, "1.2-1": {"KNOWS_LEGACY": "no"}},
)


def build_repository(folder: Path, product: Product = SHOP) -> None:
    """Fill ``folder`` with every version of a product and the index that apt wants (a flat repository)."""
    folder.mkdir()
    stanzas = [_build(folder, product, version) for version in product.versions]
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


def _build(folder: Path, product: Product, version: str) -> str:
    """Build one version into ``folder``; returns its stanza for the index."""
    tree = folder / f"{product.name}_{version}"
    shutil.copytree(FILES / product.name, tree)
    for name in product.templates:
        file = tree / name
        text = file.read_text()
        for placeholder, value in {"VERSION": version, **product.versions[version]}.items():
            text = text.replace(f"@{placeholder}@", value)
        file.write_text(text)
    # What git keeps of modes is only the executable bit; the rest depends on the umask of the clone.
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    tree.chmod(0o755)
    deb = folder / f"{product.name}_{version}_all.deb"
    run("dpkg-deb", "--root-owner-group", "--build", tree, deb)
    control = (tree / "DEBIAN" / "control").read_text()
    shutil.rmtree(tree)
    content = deb.read_bytes()
    return (
        f"{control}Filename: ./{deb.name}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )
