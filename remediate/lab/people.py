"""The people of the lab: an engineer, two change managers, a customer, and the keys that they sign with."""

from __future__ import annotations

import shutil
from pathlib import Path

from remediate.lab.command import run
from remediate.lab.interface import HOME, Item, Progress

SIGNERS = ("carol", "dan")
"""Change managers, each with a key of their own."""


class People:
    """Signing keys and the allowed signers file, below HOME/people."""

    name = "people"

    def __init__(self, home: Path = HOME) -> None:
        self._folder = home / "people"

    @property
    def allowed_signers(self) -> Path:
        """What approvals are verified against."""
        return self._folder / "allowed_signers"

    def key(self, person: str) -> Path:
        """A person's private key."""
        return self._folder / person

    def packages(self) -> tuple[str, ...]:
        """ssh-keygen."""
        return ("openssh-client",)

    def up(self, progress: Progress) -> None:
        """Make the keys that are missing."""
        if self.allowed_signers.exists():
            return
        progress("making the change managers' signing keys")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        lines = []
        for person in SIGNERS:
            key = self.key(person)
            if not key.exists():
                run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{person}@lab", "-f", str(key))
            kind, data = key.with_suffix(".pub").read_text().split()[:2]
            lines.append(f'{person}@lab namespaces="remediate-plan@remediate" {kind} {data}\n')
        part = self.allowed_signers.with_suffix(".part")
        part.write_text("".join(lines))
        part.replace(self.allowed_signers)

    def down(self) -> None:
        """Nothing runs."""

    def reset(self, progress: Progress) -> None:
        """New keys."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self.up(progress)

    def status(self) -> tuple[Item, ...]:
        """Whether the keys are there."""
        state = "up" if self.allowed_signers.exists() else "down"
        return (Item("people", str(self._folder), state, "signing keys of " + " and ".join(SIGNERS)),)
