"""What the lab's images are made of: package sources, packages, certificates, layers. Needs no root."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import remediate
from remediate.lab import ca, data, debs, distro, image
from remediate.lab.command import LabError, run

ROOT = Path(remediate.__file__).parent.parent

NEW_STYLE = """\
# A comment
Types: deb
URIs: http://mirror.example/debian
# Another
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/k.gpg

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://third.example/tool
Suites: nodistro
Components: main
"""

OLD_STYLE = """\
# deb http://commented.example/ubuntu noble main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/ubuntu noble main universe
deb-src http://mirror.example/ubuntu noble main
deb http://mirror.example/ubuntu noble-security main
deb http://third.example/apt tool-noble main
"""


def test_sources_are_the_distributions_own_in_both_styles(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "debian.sources").write_text(NEW_STYLE)
    found = distro.sources("bookworm", tmp_path)
    assert set(found) == {"sources"}
    assert found["sources"].count("Types:") == 1
    assert "mirror.example/debian" in found["sources"]
    (tmp_path / "sources.list").write_text(OLD_STYLE)
    assert distro.sources("noble", tmp_path)["list"].splitlines() == [
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/ubuntu noble main universe",
        "deb http://mirror.example/ubuntu noble-security main",
    ]
    with pytest.raises(LabError, match="no package source for trixie"):
        distro.sources("trixie", tmp_path)


def test_only_debian_and_ubuntu_are_served(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text('ID=ubuntu\nVERSION_CODENAME="noble"\n')
    assert distro.distro(release) == distro.Distro("ubuntu", "noble")
    release.write_text('ID=fedora\nPRETTY_NAME="Fedora 40"\n')
    with pytest.raises(LabError, match="this is Fedora 40"):
        distro.distro(release)
    with pytest.raises(LabError, match="an unknown system"):
        distro.distro(tmp_path / "absent")


def test_the_repository_holds_three_installable_versions(tmp_path: Path) -> None:
    folder = tmp_path / "apt"
    debs.build_repository(folder)
    assert sorted(path.name for path in folder.glob("*.deb")) == [
        f"shop_{version}_all.deb" for version in ("1.0-1", "1.1-1", "1.2-1")
    ]
    for stanza in (folder / "Packages").read_text().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if not line.startswith(" "))
        deb = folder / fields["Filename"]
        assert fields["Size"] == str(deb.stat().st_size)
        assert fields["SHA256"] == run("sha256sum", deb).split()[0]
        assert run("dpkg-deb", "--field", deb, "Version").strip() == fields["Version"]
        listed = run("dpkg-deb", "--contents", deb)
        assert "root/root" in listed
        assert "-rwxr-xr-x" in next(line for line in listed.splitlines() if line.endswith("usr/bin/shop"))


def test_digest_sees_names_contents_and_modes(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("x")
    seen = {data.digest(tmp_path)}
    file.write_text("y")
    seen.add(data.digest(tmp_path))
    file.chmod(0o755)
    seen.add(data.digest(tmp_path))
    file.rename(tmp_path / "b")
    seen.add(data.digest(tmp_path))
    assert len(seen) == 4
    assert data.digest("ab", "c") != data.digest("a", "bc")


def test_secrets_are_never_readable_by_others(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = data.write(tmp_path / "deep" / "key", "secret", 0o600)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600


def test_certificates_are_issued_by_one_authority(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "remediate.lab.ca", "issue", "web1", "10.0.0.1", str(out)]
    done = subprocess.run(
        [*command, "--ca", str(tmp_path / "ca")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split() == [str(out / "web1.crt"), str(out / "web1.key")]
    assert (out / "web1.key").stat().st_mode & 0o777 == 0o600
    ca_file = tmp_path / "ca" / "ca.pem"
    assert "OK" in run("openssl", "verify", "-CAfile", ca_file, "-verify_ip", "10.0.0.1", out / "web1.crt")
    first = ca_file.read_text()
    ca.ensure(tmp_path / "ca")
    assert ca_file.read_text() == first


def test_layers_that_nobody_used_for_long_are_removed(tmp_path: Path) -> None:
    layers = [tmp_path / name for name in ("old", "recent", "needed")]
    for layer in layers:
        layer.mkdir()
        image._forget(tmp_path, (layer,))
    long_ago = time.time() - image.KEEP_SECONDS - 60
    for name in ("old", "needed"):
        os.utime(tmp_path / "used" / name, (long_ago, long_ago))
    image._forget(tmp_path, (tmp_path / "needed",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["needed", "recent", "used"]
