"""Signatures: every key type and way to sign, and all the reasons why one doesn't count."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from remediate.approval.envelope import (
    NAMESPACE,
    Decision,
    Envelope,
    Settlement,
    find_envelopes,
    read_envelopes,
)
from remediate.approval.signing import public_key
from remediate.approval.sshsig import SshSignature, parse
from remediate.errors import InputError, Refused
from remediate.model.step import Verdict
from tests.approval.world import NOW, SETTINGS, World, keygen, make_key, make_plan, public_text


def by_hand(envelope: Envelope, plan: bytes) -> bytes:
    """The signed message, put together from the envelope's file without any code of the product."""
    payload = json.dumps(
        json.loads(envelope.data)["payload"], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()
    sizes = [str(len(part)).encode() for part in (payload, plan)]
    return b" ".join([b"remediate.approval/1", sizes[0], payload, sizes[1], plan])


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_ssh_keygen_itself_agrees(world: World, kind: str) -> None:
    world.allow("ann@laptop", make_key(world.root / "other", kind))
    envelope = world.sign("other", comment="gelesen, öäü €")
    approval = world.verify(envelope)
    assert (approval.person, approval.principal) == ("ann", "ann@laptop")
    assert approval.fingerprint == keygen("-l", "-f", str(world.root / "other.pub")).stdout.split()[1]
    signature = world.root / "sig"
    signature.write_text(json.loads(envelope.data)["signature"])
    done = subprocess.run(
        [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            "allowed_signers",
            "-I",
            "ann@laptop",
            "-n",
            NAMESPACE,
            "-s",
            "sig",
        ],
        cwd=world.root,
        input=by_hand(envelope, world.plan.data),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_save_find_load(world: World) -> None:
    file = world.root / "fix [1].plan.json"
    file.write_bytes(world.plan.data)
    envelopes = [world.sign("ann"), world.sign("bob", Decision.DENY)]
    saved = [e.save(file) for e in envelopes]
    assert saved[0].name.startswith("fix [1].plan.json.approve-ann@example.org-")
    (world.root / "fix [1].plan.json.report.json").write_text("{}")
    (world.root / "other.plan.json.approve-ann-1.json").write_text("{}")
    assert find_envelopes(file) == sorted(saved)
    assert [Envelope.load(p) for p in saved] == envelopes
    assert {e.data for e in read_envelopes(file)} == {e.data for e in envelopes}
    assert not list(world.root.glob(".*.part"))


@pytest.mark.parametrize("kind", ["directory", "dangling", "pipe", "large"])
def test_what_is_named_like_an_envelope_is_never_passed_over(world: World, kind: str) -> None:
    file = world.root / "x.plan.json"
    odd = world.root / "x.plan.json.deny-bob-12345678.json"
    match kind:
        case "directory":
            odd.mkdir()
        case "dangling":
            odd.symlink_to("nowhere")
        case "pipe":
            os.mkfifo(odd)
        case _:
            odd.write_bytes(b" " * 300_000)
    with pytest.raises(Refused, match="deny-bob"):
        read_envelopes(file)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"decision": "maybe"}, "payload.decision"),
        ({"nonce": "1"}, "payload.nonce"),
        ({"plan": "0"}, "payload.plan"),
        ({"extra": 1}, "payload.extra"),
        ({"principal": "a b"}, "payload.principal"),
        ({"principal": "*"}, "payload.principal"),
        ({"namespace": "git"}, "payload.namespace"),
        ({"format": "remediate.approval/2"}, "payload.format"),
        ({"expires": None}, "expires: missing"),
        ({"issued": "2030-01-01T00:00:00Z"}, "expires: before"),
        ({"settles": {}}, "payload.settles"),
    ],
)
def test_a_malformed_envelope_names_its_field(world: World, change: dict[str, object], field: str) -> None:
    raw = json.loads(world.sign("ann").data)
    raw["payload"] |= change
    with pytest.raises(Refused, match=f"e.json: .*{field}"):
        world.verify(json.dumps(raw).encode())


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"null", b"[" * 100_000, b'{"payload":{},"signature":1}']
)
def test_what_is_no_envelope_at_all(world: World, data: bytes) -> None:
    with pytest.raises(Refused, match=r"e\.json"):
        world.verify(data)


def test_another_spelling_of_the_same_content_is_refused(world: World) -> None:
    data = world.sign("ann").data
    raw = json.loads(data)
    for other in [
        json.dumps(raw).encode(),
        data.rstrip(b"\n"),
        b" " + data,
        data.replace(b"Z", b"+00:00"),
        data.replace(b"END SSH SIGNATURE-----\\n", b"END SSH SIGNATURE-----\\n\\n"),
        data.replace(b'"principal":', b'"principal":"x","principal":'),
    ]:
        assert other != data
        with pytest.raises(Refused):
            world.verify(other)


def test_another_namespace(world: World) -> None:
    envelope = world.sign("ann")
    message = world.root / "m"
    message.write_bytes(envelope.payload.message(world.plan.data))
    keygen("-Y", "sign", "-q", "-f", str(world.root / "ann"), "-n", "git", str(message))
    foreign = envelope.model_copy(update={"signature": message.with_name("m.sig").read_text()})
    with pytest.raises(Refused, match="made for 'git'"):
        world.verify(Envelope(**foreign.model_dump()))


def test_a_signature_of_other_bytes(world: World) -> None:
    one, two = world.sign("ann"), world.sign("ann", comment="other")
    with pytest.raises(Refused, match="not over this payload"):
        world.verify(Envelope(payload=one.payload, signature=two.signature))


def test_another_plan(world: World) -> None:
    with pytest.raises(Refused, match="about another plan"):
        world.verify(world.sign("ann"), plan=make_plan(id="p-2"))


def test_a_key_that_is_not_allowed(world: World) -> None:
    make_key(world.root / "stranger")
    with pytest.raises(InputError, match="doesn't stand in"):
        world.sign("stranger")
    with pytest.raises(Refused, match="doesn't stand in"):
        world.sign("stranger", principal="ann@example.org")
    with pytest.raises(Refused, match="principal of nobody"):
        world.sign("stranger", principal="eve@example.org")


def test_a_principal_that_is_nobodys(world: World) -> None:
    world.allow("eve@example.org", make_key(world.root / "eve"))
    with pytest.raises(InputError, match=r"eve@example\.org, who is nobody"):
        world.sign("eve")


def test_one_key_for_two_people_tells_nothing(world: World) -> None:
    world.allow("bob@example.org", world.root / "ann")
    with pytest.raises(InputError, match=r"may sign as ann@example\.org, bob@example\.org"):
        world.sign("ann")
    with pytest.raises(Refused, match="may sign for ann, bob"):
        world.sign("ann", principal="bob@example.org")


def test_a_wildcard_line_tells_nothing(world: World) -> None:
    world.allow("*@example.org,!cat@example.org", make_key(world.root / "any"))
    with pytest.raises(Refused, match="may sign for ann, bob, dan: who signed"):
        world.sign("any", principal="ann@example.org")


def test_one_person_may_have_one_key_under_two_principals(world: World) -> None:
    world.allow("ann@laptop", world.root / "ann")
    with pytest.raises(InputError, match="choose one with --as"):
        world.sign("ann")
    assert world.sign("ann", principal="ann@laptop").payload.principal == "ann@laptop"


def test_key_validity_is_judged_by_the_verifiers_clock(world: World) -> None:
    end = NOW + timedelta(hours=1)
    world.signers = [
        line.replace(
            "ann@example.org",
            f'ann@example.org valid-after="{NOW - timedelta(days=1):%Y%m%d%H%M%SZ}"'
            f',valid-before="{end:%Y%m%d%H%M%SZ}"',
        )
        for line in world.signers
    ]
    world.write_signers()
    envelope = world.sign("ann")
    assert world.verify(envelope, now=end - timedelta(minutes=1)).person == "ann"
    with pytest.raises(Refused, match="the key has expired"):
        world.verify(envelope, now=end + timedelta(minutes=1))
    with pytest.raises(Refused, match="not valid before"):
        world.sign("ann", now=NOW - timedelta(days=2))


def test_a_key_allowed_for_another_namespace_only(world: World) -> None:
    world.allow("ann@laptop", make_key(world.root / "git"), 'namespaces="git,file"')
    with pytest.raises(Refused, match="doesn't allow the key for"):
        world.sign("git")
    world.allow("ann@laptop", make_key(world.root / "both"), f'namespaces="git,{NAMESPACE}"')
    assert world.sign("both").payload.principal == "ann@laptop"


@pytest.mark.parametrize("form", ["list", "krl"])
def test_a_revoked_key(world: World, form: str) -> None:
    envelope = world.sign("ann")
    world.settings(SETTINGS + '[approval]\nrevoked_keys = "revoked"\n')
    with pytest.raises(Refused, match="revoked"):
        world.verify(envelope)
    if form == "list":
        (world.root / "revoked").write_text(public_text(world.root / "bob") + "\n")
        assert world.verify(envelope).person == "ann"
        (world.root / "revoked").write_text(public_text(world.root / "ann") + "\n")
    else:
        keygen("-k", "-f", str(world.root / "revoked"), str(world.root / "ann.pub"))
    with pytest.raises(Refused, match="the key is revoked"):
        world.verify(envelope)


def test_a_missing_or_open_signers_file(world: World) -> None:
    envelope = world.sign("ann")
    file = world.root / "allowed_signers"
    file.chmod(0o666)
    with pytest.raises(Refused, match="anybody may write it"):
        world.verify(envelope)
    file.unlink()
    with pytest.raises(Refused, match="allowed_signers: can't be read"):
        world.verify(envelope)


def test_certificates(world: World) -> None:
    authority = make_key(world.root / "ca")
    make_key(world.root / "ann-cert-key")
    key = world.root / "ann-cert-key"
    world.allow("*@example.org", authority, "cert-authority")

    def certify(principals: str) -> None:
        keygen(
            "-q",
            "-s",
            str(authority),
            "-I",
            "x",
            "-n",
            principals,
            "-V",
            "20260101000000Z:20270101000000Z",
            f"{key}.pub",
        )

    certify("ann@example.org")
    certificate = f"{key.name}-cert.pub"
    envelope = world.sign(certificate, principal="ann@example.org")
    assert world.verify(envelope).person == "ann"
    with pytest.raises(Refused, match=r"doesn't stand in|not good"):
        world.sign(certificate, principal="bob@example.org")
    with pytest.raises(Refused, match="certificate"):
        world.verify(
            world.sign(certificate, principal="ann@example.org", now=NOW + timedelta(days=300)),
            now=NOW + timedelta(days=300),
        )
    certify("ann@example.org,bob@example.org")
    with pytest.raises(Refused, match="may sign for ann, bob"):
        world.sign(certificate, principal="bob@example.org")


def test_times_in_the_envelope(world: World) -> None:
    envelope = world.sign("ann", expires_in=3600)
    with pytest.raises(Refused, match="expired"):
        world.verify(envelope, now=NOW + timedelta(hours=1))
    with pytest.raises(Refused, match="in the future"):
        world.verify(envelope, now=NOW - timedelta(minutes=6))
    assert world.verify(envelope, now=NOW - timedelta(minutes=4)).person == "ann"
    with pytest.raises(InputError, match="may live 24 h at most"):
        world.sign("ann", expires_in=86401)
    with pytest.raises(InputError):
        world.sign("ann", expires_in=0)


def test_only_a_decision_settles_anything(world: World) -> None:
    with pytest.raises(InputError, match="settles"):
        world.sign("ann", Decision.DECIDE)
    settled = Settlement(run="r-1", step="s1", target="web1", attempt=1, verdict=Verdict.APPLIED)
    with pytest.raises(InputError, match="settles"):
        world.sign("ann", settles=settled)


def test_a_denial_has_no_end(world: World) -> None:
    assert world.verify(world.sign("ann", Decision.DENY), now=NOW + timedelta(days=300)).expires is None


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A running ssh-agent of its own, ended by its process id."""
    socket = tmp_path / "agent.sock"
    text = subprocess.run(
        ["ssh-agent", "-s", "-a", str(socket)], capture_output=True, text=True, check=True
    ).stdout
    number = int(text.split("SSH_AGENT_PID=")[1].split(";")[0])
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield
    os.kill(number, signal.SIGTERM)


@pytest.mark.usefixtures("agent")
def test_the_agent_signs_for_a_public_key(world: World) -> None:
    world.allow("ann@laptop", make_key(world.root / "held"))
    subprocess.run(["ssh-add", "-q", str(world.root / "held")], check=True, stdin=subprocess.DEVNULL)
    (world.root / "held").unlink()
    envelope = world.sign("held.pub")
    assert world.verify(envelope).principal == "ann@laptop"


@pytest.mark.usefixtures("agent")
def test_a_public_key_that_the_agent_does_not_hold(world: World) -> None:
    world.allow("ann@laptop", make_key(world.root / "away"))
    (world.root / "away").unlink()
    with pytest.raises(InputError, match="neither here nor in the agent"):
        world.sign("away.pub")


def test_a_passphrase_without_a_terminal_is_an_error_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setenv("SSH_ASKPASS", "/bin/sleep")
    world.allow("ann@laptop", make_key(world.root / "locked", passphrase="correct horse"))
    with pytest.raises(InputError, match="has a passphrase, and there is no terminal"):
        world.sign("locked")
    waiting = subprocess.PIPE  # standard input that never says anything
    argv = [sys.executable, "-c", AT_NO_TERMINAL, str(world.root)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    with subprocess.Popen(
        argv, stdin=waiting, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        assert child.stderr
        assert "there is no terminal to ask at" in child.stderr.read()
        assert child.wait(30) == 1


AT_NO_TERMINAL = """
import sys
from pathlib import Path
from tests.approval.world import World
World(Path(sys.argv[1])).sign("locked", interactive=True)
"""

#: Takes its standard input as its terminal, as a shell would, and signs.
AT_A_TERMINAL = """
import fcntl, sys, termios
from pathlib import Path
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from tests.approval.world import World
root = Path(sys.argv[1])
envelope = World(root).sign("locked", interactive=True)
(root / "out.json").write_bytes(envelope.data)
"""


def test_at_a_terminal_ssh_keygen_asks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pseudo terminal plays the person who types the passphrase."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    world.allow("ann@laptop", make_key(world.root / "locked", passphrase="correct horse"))
    person, terminal = os.openpty()
    argv = [sys.executable, "-c", AT_A_TERMINAL, str(world.root)]
    with subprocess.Popen(
        argv, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as child:
        os.close(terminal)
        said = b""
        while b"passphrase" not in said:
            said += os.read(person, 1000)
        os.write(person, b"correct horse\n")
        assert child.wait(30) == 0, said
    os.close(person)
    assert world.verify((world.root / "out.json").read_bytes()).principal == "ann@laptop"


def test_keys_that_are_none(world: World) -> None:
    (world.root / "text").write_text("hello\n")
    (world.root / "open").write_bytes((world.root / "ann").read_bytes())
    (world.root / "open").chmod(0o644)
    for name, why in [("nothing", "can't be read"), ("text", "no SSH key"), ("open", "others may read it")]:
        with pytest.raises(InputError, match=why):
            world.sign(name)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_public_half_needs_no_passphrase(tmp_path: Path, kind: str) -> None:
    key = make_key(tmp_path / "k", kind, passphrase="correct horse")
    expected = public_key(key.with_name("k.pub"))
    key.with_name("k.pub").unlink()
    assert public_key(key) == expected


def test_a_comment_too_long(world: World) -> None:
    with pytest.raises(InputError, match="comment"):
        world.sign("ann", comment="x" * 4001)


def string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


@pytest.mark.parametrize(
    ("parts", "rest", "why"),
    [
        ((b"", b"sha512"), b"", None),
        ((b"", b"sha256"), b"", None),
        ((b"reserved", b"sha512"), b"", "don't belong"),
        ((b"", b"md5"), b"", "don't belong"),
        ((b"", b"sha512"), b"more", "don't belong"),
    ],
)
def test_a_signature_has_no_room_for_anything_else(
    parts: tuple[bytes, ...], rest: bytes, why: str | None
) -> None:
    key = string(string(b"ssh-ed25519") + string(b"0" * 32))
    blob = b"SSHSIG\0\0\0\1" + key + b"".join(map(string, (NAMESPACE.encode(), *parts, b"signature"))) + rest
    signature = SshSignature(blob, b"", NAMESPACE)
    if why is None:
        assert parse(signature.armored).blob == blob
        for end in range(len(blob)):
            with pytest.raises(ValueError, match=r"ends too early|version 1|no SSH signature"):
                parse(SshSignature(blob[:end], b"", NAMESPACE).armored)
    else:
        with pytest.raises(ValueError, match=why):
            parse(signature.armored)
