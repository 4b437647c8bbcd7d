"""Whose keys count: the allowed signers file, and ssh-keygen, which alone verifies.

ssh-keygen honours what the file says about a key: validity, namespaces, certificate authorities
(ssh-keygen(1), ALLOWED SIGNERS). It needs OpenSSH 9.1 or newer, which takes a time in UTC.
"""

from __future__ import annotations

import base64
import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from remediate.approval.envelope import NAMESPACE
from remediate.approval.sshsig import SshSignature
from remediate.config import Config
from remediate.errors import Refused, RemediateError

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the allowed signers file: a pattern list of principals, and a key in wire format."""

    principals: str
    key: bytes
    authority: bool

    def matches(self, principal: str) -> bool:
        """Whether the pattern list admits this principal (ssh_config(5), PATTERNS)."""
        found = False
        for pattern in self.principals.split(","):
            negated = pattern.startswith("!")
            text = re.escape(pattern.removeprefix("!")).replace(r"\*", ".*").replace(r"\?", ".")
            if re.fullmatch(text, principal, re.DOTALL):
                if negated:
                    return False
                found = True
        return found


@dataclass(frozen=True)
class Signers:
    """The allowed signers (and revoked keys), read once, so that all checks see the same bytes."""

    path: Path
    allowed: bytes
    revoked: bytes | None = None

    @classmethod
    def load(cls, config: Config) -> Signers:
        """The files that the project names.

        Raises:
            Refused: one is missing, or anybody may write it.
        """
        revoked = config.approval.revoked_keys
        found = cls.read(config.path(config.approval.allowed_signers))
        return replace(found, revoked=_read(config.path(revoked))) if revoked else found

    @classmethod
    def read(cls, path: Path) -> Signers:
        """An allowed signers file. Raises as `load` does."""
        return cls(path, _read(path))

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The lines that hold a key."""
        return tuple(_entries(self.allowed.decode("utf-8", "replace")))

    def principals_of(self, key: bytes) -> list[str]:
        """The pattern lists that stand beside this very key."""
        return [e.principals for e in self.entries if e.key == key and not e.authority]

    def people_of(self, key: bytes, config: Config) -> set[str]:
        """Everybody who may sign with this very key."""
        lines = [e for e in self.entries if e.key == key and not e.authority]
        return {
            name
            for name, person in config.people.items()
            if any(line.matches(p) for line in lines for p in person.principals)
        }

    def verify(
        self,
        message: bytes,
        signature: SshSignature,
        principal: str,
        now: datetime,
        namespace: str = NAMESPACE,
    ) -> str:
        """Have ssh-keygen verify; gives the fingerprint of the key.

        Args:
            now: the verifier's own clock. A time from the envelope would bring an expired key back to life.

        Raises:
            Refused: says what ssh-keygen says.
        """
        who = ["-I", principal, "-n", namespace]
        done = self._ask("verify", message, signature, who, now)
        named = f'Good "{namespace}" signature for {principal} with '
        good = re.fullmatch(rf"{re.escape(named)}\S+ key (SHA256:\S+)\s*", done.stdout)
        if done.returncode or not good:
            reason = _reason(done.stderr or done.stdout, self.path)
            if (
                self.revoked is not None
                and not replace(self, revoked=None)._ask("verify", message, signature, who, now).returncode
            ):
                # ssh-keygen itself says nothing about a revoked key.
                reason = "the key is revoked"
            raise Refused(f"{principal}: {reason}", _ADVICE)
        return good[1]

    def principals_in_certificate(self, message: bytes, signature: SshSignature, now: datetime) -> list[str]:
        """All principals that the certificate of this signature and its authority's line allow."""
        done = self._ask("find-principals", message, signature, [], now)
        return [p for line in done.stdout.splitlines() for p in line.split(",")]

    def _ask(
        self, operation: str, message: bytes, signature: SshSignature, arguments: list[str], now: datetime
    ) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory(prefix="remediate-verify-") as folder:
            place = Path(folder)
            (place / "signers").write_bytes(self.allowed)
            (place / "signature").write_text(signature.armored)
            (place / "message").write_bytes(message)
            argv = [
                "ssh-keygen",
                "-Y",
                operation,
                "-f",
                str(place / "signers"),
                "-s",
                str(place / "signature"),
            ]
            argv += [*arguments, "-O", f"verify-time={now.astimezone(UTC):%Y%m%d%H%M%SZ}"]
            if self.revoked is not None and operation == "verify":
                (place / "revoked").write_bytes(self.revoked)
                argv += ["-r", str(place / "revoked")]
            with (place / "message").open("rb") as stdin:
                return run_keygen(argv, stdin=stdin.fileno())


def _reason(text: str, path: Path) -> str:
    for known, meaning in _REASONS:
        if found := re.search(known, text):
            return meaning.format(*found.groups(), signers=path)
    return f"the signature is not good for this plan, or its key doesn't stand in {path}"


_ADVICE = "have it signed again with a key that is good now, or put the key into the allowed signers file"

_REASONS = (
    (
        r"key has expired: verify time \S+ > valid-before (\S+)",
        "the key has expired (valid before {0} in {signers})",
    ),
    (
        r"key is not yet valid: verify time \S+ < valid-after (\S+)",
        "the key is not valid before {0} ({signers})",
    ),
    (r"[Cc]ertificate.*(expired|not yet valid)", "the key's certificate is {0}"),
    (r"not permitted for use in signature namespace", f"{{signers}} doesn't allow the key for {NAMESPACE}"),
    (r"incorrect signature", "the signature is not over this payload and this plan"),
    (r"Unsupported.*option|[Ii]nvalid.*verify.time", "ssh-keygen is older than OpenSSH 9.1"),
)


def run_keygen(
    argv: list[str], *, stdin: int = subprocess.DEVNULL, seconds: float = _SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run ssh-keygen without a terminal, so that it can only answer or fail, never wait for a person.

    Raises:
        RemediateError: it isn't installed, or doesn't answer.
    """
    environment = {**os.environ, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    try:
        return subprocess.run(
            argv,
            stdin=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env=environment,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise RemediateError("ssh-keygen is not installed", "apt install openssh-client") from None
    except subprocess.TimeoutExpired:
        raise RemediateError(f"ssh-keygen gave no answer within {seconds:.0f} s", "try it by hand") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_mode & stat.S_IWOTH:
                raise Refused(f"{path}: anybody may write it, and so approve", f"chmod o-w {path}")
            return stream.read()
    except OSError as error:
        raise Refused(
            f"{path}: can't be read: {error.strerror}",
            "write one line per approver: PRINCIPAL KEYTYPE KEY (see ssh-keygen(1), ALLOWED SIGNERS)",
        ) from None


def _entries(text: str) -> Iterator[Entry]:
    """Lines as ``principals [options] type key [comment]``; options may hold blanks inside quotes."""
    for line in text.splitlines():
        fields = re.findall(r'(?:"(?:\\.|[^"\\])*"|[^\s"])+', line.strip())
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        for place in (1, 2):
            key = _key(fields[place : place + 2])
            if key is not None:
                options = fields[1].lower() if place == 2 else ""
                unquoted = re.sub(r'"(?:\\.|[^"\\])*"', "", options)
                yield Entry(fields[0].strip('"'), key, "cert-authority" in unquoted.split(","))
                break


def _key(fields: list[str]) -> bytes | None:
    if len(fields) < 2:
        return None
    try:
        blob = base64.b64decode(fields[1], validate=True)
    except ValueError:
        return None
    kind = fields[0].encode()
    return blob if blob[4 : 4 + len(kind)] == kind else None
