"""The shipped renewal of a certificate: what its signer answers is proved before it replaces anything."""

from __future__ import annotations

import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from remediate.adapters.ansible.playbook import Playbook
from remediate.lab import ca
from remediate.model.step import Status
from remediate.model.target import Target
from tests.adapters.ansible.world import PROJECT, World, local

pytestmark = pytest.mark.slow

#: Signs with a flaw of the host's own name.
SIGNER = """
import sys
from pathlib import Path
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from remediate.lab import ca
folder, request = Path(sys.argv[1]), sys.stdin.buffer.read()
asked = x509.load_pem_x509_csr(request)
name = asked.subject.rfc4514_string().removeprefix("CN=")
if name == "other-authority":
    print(ca.sign(folder / "other", request), end="")
elif name == "other-key":
    print(ca.issue(folder / "ca", name, "127.0.0.1", 90)[0], end="")
elif name == "other-names":
    key = ec.generate_private_key(ec.SECP256R1())
    san = x509.SubjectAlternativeName([x509.DNSName(name)])
    own = ca._leaf(folder / "ca", asked.subject, asked.public_key(), san, 90)
    print(ca._certificate_text(own), end="")
elif name == "too-short":
    print(ca.sign(folder / "ca", request, 20), end="")
elif name == "nothing":
    print("come back tomorrow")
else:
    print(ca.sign(folder / "ca", request), end="")
"""
EXPECTED = {
    "good": "",
    "other-authority": "Prove chain, purpose and dates",
    "other-key": "another key",
    "other-names": "lacks IP Address:127.0.0.1",
    "too-short": "Put the new certificate in place",
    "nothing": "Prove chain, purpose and dates",
}


def test_only_a_proved_certificate_is_put_in_place(tmp_path: Path) -> None:
    for folder in ("ca", "other"):
        ca.ensure(tmp_path / folder)
    (tmp_path / "sign.py").write_text(SIGNER)
    world = World(tmp_path, tuple(_host(tmp_path, target) for target in local(EXPECTED)))
    old = {name: (tmp_path / f"{name}.crt").read_text() for name in EXPECTED}
    step = Playbook(
        world.write(_without_reload(), "playbooks/renew.yml"),
        vars={
            "tls_authority": str(tmp_path / "ca/ca.pem"),
            "tls_service": "none",
            "tls_days": 30,
            "tls_signer": [sys.executable, str(tmp_path / "sign.py"), str(tmp_path)],
        },
    )
    (tmp_path / "good.crt").chmod(0o640)
    found = step.apply_many(world.contexts())
    assert (found["good"].status, found["good"].changed) == (Status.OK, True), found["good"]
    new = x509.load_pem_x509_certificate((tmp_path / "good.crt").read_bytes())
    assert new.not_valid_after_utc > datetime.now(UTC) + timedelta(days=30)
    assert stat.S_IMODE((tmp_path / "good.crt").stat().st_mode) == 0o640
    for name, why in EXPECTED.items():
        if name != "good":
            assert found[name].status is Status.FAILED, name
            assert why in found[name].summary + found[name].detail, name
            assert (tmp_path / f"{name}.crt").read_text() == old[name], name


def _host(folder: Path, target: Target) -> Target:
    """With a certificate that ends in ten days, and its key."""
    certificate, key = ca.issue(folder / "ca", target.name, "127.0.0.1", 10)
    files = {
        "tls_certificate": (f"{target.name}.crt", certificate),
        "tls_key_file": (f"{target.name}.key", key),
    }
    variables = dict(target.vars)
    for variable, (name, text) in files.items():
        (folder / name).write_text(text)
        variables[variable] = str(folder / name)
    return target.model_copy(update={"vars": variables})


def _without_reload() -> str:
    """The playbook but for its last task: this machine has no such unit."""
    (play,) = yaml.safe_load((PROJECT / "playbooks/renew_certificate.yml").read_text())
    assert play["tasks"].pop()["name"] == "Reload the server"
    return yaml.safe_dump([play])
