"""known_hosts, as sshd(8) describes it."""

from __future__ import annotations

import base64
import hmac
import subprocess
from pathlib import Path

import pytest

from remediate.adapters.hosts.errors import HostKeyRefused
from remediate.adapters.hosts.hostkeys import HostKey, known_keys

KEY = base64.b64encode(b"\0\0\0\x0bssh-ed25519 one").decode()
OTHER = base64.b64encode(b"\0\0\0\x0bssh-ed25519 two").decode()


def hashed(name: str) -> str:
    salt = b"0123456789abcdefghij"
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def keys(tmp_path: Path, text: str, address: str = "web1", port: int = 22) -> set[bytes]:
    (tmp_path / "known_hosts").write_text(text)
    return {key.blob for key in known_keys("web1", address, port, (tmp_path / "known_hosts",))}


ONE, TWO = base64.b64decode(KEY), base64.b64decode(OTHER)


@pytest.mark.parametrize(
    ("line", "address", "port"),
    [
        (f"web1 ssh-ed25519 {KEY}", "web1", 22),
        (f"web1,10.0.0.1 ssh-ed25519 {KEY} a comment", "10.0.0.1", 22),
        (f"[web1]:2222 ssh-ed25519 {KEY}", "web1", 2222),
        (f"web*,!web2 ssh-ed25519 {KEY}", "web1", 22),
        (f"{hashed('web1')} ssh-ed25519 {KEY}", "web1", 22),
        (f"{hashed('[web1]:2222')}\tssh-ed25519\t{KEY}", "web1", 2222),
        (f"# a comment\n\njunk\nweb1 ssh-ed25519 !!!\nweb1 ssh-ed25519 {KEY}", "web1", 22),
    ],
)
def test_lines_that_match(tmp_path: Path, line: str, address: str, port: int) -> None:
    assert keys(tmp_path, line, address, port) == {ONE}


@pytest.mark.parametrize(
    ("line", "address", "port"),
    [
        ("", "web1", 22),
        (f"web1 ssh-ed25519 {KEY}", "web1", 2222),
        (f"[web1]:2222 ssh-ed25519 {KEY}", "web1", 22),
        (f"web*,!web1 ssh-ed25519 {KEY}", "web1", 22),
        (f"web11 ssh-ed25519 {KEY}", "web1", 22),
        (f"#web1 ssh-ed25519 {KEY}", "web1", 22),
        (f"@cert-authority web1 ssh-ed25519 {KEY}", "web1", 22),
        (f"{hashed('web2')} ssh-ed25519 {KEY}", "web1", 22),
        (f"@revoked web1 ssh-ed25519 {KEY}\nweb1 ssh-ed25519 {KEY}", "web1", 22),
    ],
)
def test_lines_that_do_not(tmp_path: Path, line: str, address: str, port: int) -> None:
    with pytest.raises(HostKeyRefused, match="is not known"):
        keys(tmp_path, line, address, port)


def test_several_keys_and_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"web1 ssh-ed25519 {KEY}\n")
    (tmp_path / "b").write_text(f"web1 ssh-rsa {OTHER}\n")
    files = (tmp_path / "a", tmp_path / "b", tmp_path / "none")
    assert known_keys("web1", "web1", 22, files) == {HostKey("ssh-ed25519", ONE), HostKey("ssh-rsa", TWO)}


def test_ssh_keygen_hashes_the_same_way(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    kind, blob, _ = (tmp_path / "key.pub").read_text().split()
    (tmp_path / "known").write_text(f"[web1]:2222 {kind} {blob}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", tmp_path / "known"], check=True, capture_output=True)
    (key,) = known_keys("web1", "web1", 2222, (tmp_path / "known",))
    shown = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "key.pub"], check=True, capture_output=True, text=True
    )
    assert key.fingerprint.split()[1] in shown.stdout


def test_the_advice_is_a_command_that_can_be_copied(tmp_path: Path) -> None:
    with pytest.raises(HostKeyRefused) as caught:
        known_keys("web1", "10.0.0.1", 2222, (tmp_path / "mine",))
    assert "ssh-keyscan -p 2222 10.0.0.1 | ssh-keygen -lf -" in caught.value.advice
    assert str(tmp_path / "mine") in caught.value.advice
