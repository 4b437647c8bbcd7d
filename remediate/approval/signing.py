"""Signs a decision about a plan, with the key that the person already owns.

ssh-keygen does it, so an agent, a passphrase (at a terminal) and hardware keys work as they do for ssh.
"""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from remediate.approval import sshsig
from remediate.approval.envelope import NAMESPACE, Decision, Envelope, Evidence, Payload, Settlement
from remediate.approval.signers import Signers, run_keygen
from remediate.approval.verifying import longest_life, verify
from remediate.config import Config
from remediate.errors import InputError, Refused
from remediate.model.base import duration_text
from remediate.model.plan import Plan
from remediate.model.wording import problems

#: An agent may ask its owner to confirm.
_SECONDS = 120.0

_LASTING = (Decision.DENY, Decision.REVOKE)


def sign(
    plan: Plan,
    decision: Decision,
    key: Path,
    config: Config,
    *,
    now: datetime,
    principal: str | None = None,
    comment: str = "",
    expires_in: float | None = None,
    settles: Settlement | None = None,
    interactive: bool = False,
) -> Envelope:
    """One signed decision, already verified as everybody else will verify it.

    Args:
        key: a private key, or a public one whose private half is in the agent or on a hardware key.
        principal: whom to sign as; default: the one principal that stands beside the key.
        expires_in: seconds; default: as long as the project allows.
        settles: for `Decision.DECIDE`: which attempt, and what happened.
        interactive: ssh-keygen may ask at the terminal, if there is one; otherwise a key with a passphrase
            is an error.

    Raises:
        InputError: the key can't be used, or an argument is wrong.
        Refused: the signature would not count.
    """
    signers = Signers.load(config)
    principal = principal or _principal(public_key(key), signers, config)
    try:
        payload = Payload(
            decision=decision,
            plan=plan.digest,
            plan_id=plan.id,
            plan_size=len(plan.data),
            principal=principal,
            issued=now,
            expires=None if decision in _LASTING else now + _life(plan, config, now, expires_in),
            nonce=secrets.token_hex(16),
            comment=comment,
            settles=settles,
        )
    except ValidationError as error:
        raise InputError(str(problems(error)[0]), "correct it and sign again") from None
    text = signature_over(payload.message(plan.data), key, NAMESPACE, interactive)
    envelope = Envelope(payload=payload, signature=sshsig.parse(text).armored)
    verify(Evidence("the new envelope", envelope.data), plan, config, now, signers)
    return envelope


def _life(plan: Plan, config: Config, now: datetime, expires_in: float | None) -> timedelta:
    longest = longest_life(plan, config, now) - now
    if expires_in is None:
        return longest
    if expires_in > longest.total_seconds():
        raise InputError(
            f"an approval of this plan may live {duration_text(longest.total_seconds())} at most",
            "sign for less, or raise `expiry` in [approval]",
        )
    return timedelta(seconds=expires_in)


def _principal(key: bytes, signers: Signers, config: Config) -> str:
    known = [
        principal
        for person in config.people.values()
        for principal in person.principals
        if any(principal in patterns.split(",") for patterns in signers.principals_of(key))
    ]
    if len(known) == 1:
        return known[0]
    if known:
        raise InputError(f"this key may sign as {', '.join(known)}", "choose one with --as")
    beside = ", ".join(signers.principals_of(key))
    if beside:
        raise InputError(
            f"the key stands in {signers.path} for {beside}, who is nobody in [people]",
            "add the principal to that person in remediate.toml",
        )
    raise InputError(
        f"the key doesn't stand in {signers.path}",
        "add a line `PRINCIPAL KEYTYPE KEY`, or name another --key",
    )


def public_key(key: Path) -> bytes:
    """The public key (wire format) that belongs to a key file, without any passphrase.

    Raises:
        InputError: there is none, or it isn't readable without the private half.
    """
    for path in (key, key.with_name(f"{key.name}.pub")):
        try:
            text = path.read_text(errors="replace")
        except OSError as error:
            if path == key:
                raise InputError(
                    f"{key}: can't be read: {error.strerror}", "name your SSH key with --key"
                ) from None
            continue
        if blob := _public_line(text) or _public_half(text):
            return blob
    raise InputError(f"{key}: no SSH key with a public half", f"ssh-keygen -y -f {key} > {key}.pub")


def _public_line(text: str) -> bytes | None:
    fields = text.split()
    try:
        blob = base64.b64decode(fields[1], validate=True)
        return blob if sshsig.take(blob)[0].decode() == fields[0] else None
    except (ValueError, IndexError):
        return None


def _public_half(text: str) -> bytes | None:
    """From a private key in OpenSSH's own format, where it is never encrypted (PROTOCOL.key)."""
    lines = text.strip().splitlines()
    if not lines or lines[0] != "-----BEGIN OPENSSH PRIVATE KEY-----":
        return None
    try:
        rest = base64.b64decode("".join(lines[1:-1])).removeprefix(b"openssh-key-v1\0")
        for _ in ("cipher", "kdf", "options"):
            rest = sshsig.take(rest)[1]
        return sshsig.take(rest[4:])[0]
    except ValueError:
        return None


def signature_over(message: bytes, key: Path, namespace: str, interactive: bool = False) -> str:
    """The armored signature of these bytes by this key.

    Raises:
        InputError: the key can't be used.
    """
    with tempfile.TemporaryDirectory(prefix="remediate-sign-") as folder:
        # From a file: a message on standard input would be taken for the passphrase.
        path = Path(folder) / "message"
        path.write_bytes(message)
        argv = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(path)]
        if interactive and _at_a_terminal():
            # No time limit: a person looks for their token.
            code = subprocess.run(argv, stdout=subprocess.DEVNULL, check=False).returncode
            said = ""
        else:
            done = run_keygen(argv, seconds=_SECONDS)
            code, said = done.returncode, done.stderr
        signature = path.with_name("message.sig")
        if code or not signature.exists():
            raise _unsigned(key, said)
        return signature.read_text()


def _at_a_terminal() -> bool:
    """Without one, ssh-keygen would take its standard input for the passphrase, and might wait for ever."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _unsigned(key: Path, said: str) -> InputError | Refused:
    if "passphrase" in said:
        agent = "ssh-add it" if os.environ.get("SSH_AUTH_SOCK") else "start ssh-agent and ssh-add it"
        return InputError(
            f"{key}: has a passphrase, and there is no terminal to ask at", f"{agent}: ssh-add {key}"
        )
    if "UNPROTECTED" in said:
        return InputError(f"{key}: others may read it", f"chmod 0600 {key}")
    if "No private key found" in said:
        return InputError(
            f"{key}: its private half is neither here nor in the agent", "ssh-add it, or plug it in"
        )
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "ssh-keygen did not sign")
    return InputError(f"{key}: {last.strip()}", "try `ssh-keygen -Y sign` with it by hand")
