"""What the doctor says of OpenSSH, which alone verifies approvals."""

from __future__ import annotations

import pytest

from remediate.lab import doctor


@pytest.mark.parametrize(
    ("said", "ok", "word"),
    [
        ("OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19", True, ""),
        ("OpenSSH_9.1", True, ""),
        ("OpenSSH_10.0p2", True, ""),
        ("OpenSSH_9.0p1 Ubuntu-1ubuntu8", False, "OpenSSH 9.0 is older than 9.1"),
        ("OpenSSH_8.9p1 Ubuntu-3", False, "OpenSSH 8.9 is older than 9.1"),
        ("Sun_SSH_2.2", False, "'Sun_SSH_2.2'"),
        ("", False, "'nothing'"),
    ],
)
def test_openssh_is_new_enough_to_verify(said: str, ok: bool, word: str) -> None:
    found = doctor._openssh(said)
    assert found.ok is ok
    assert word in found.problem
    assert ok or found.remedy.startswith("apt-get install")


def test_openssh_of_this_machine() -> None:
    assert doctor._openssh in doctor.CHECKS
    assert doctor._openssh().name == "openssh"
