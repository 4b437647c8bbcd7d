"""What a file on the target is."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator

from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.hosts.client import connect
from remediate.adapters.hosts.keys import file_key
from remediate.adapters.hosts.step import look
from remediate.model.inputs import AbsolutePath
from remediate.model.step import Context
from remediate.model.target import Target

_LONGEST = 16 << 20


class FileIs(Question):
    """A file has this hash, holds this text, has this owner, group or mode; or it is absent."""

    kind: ClassVar[str] = "file"
    filled: ClassVar[tuple[str, ...]] = ("contains",)

    path: AbsolutePath
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    contains: str | None = None
    owner: str | None = None
    group: str | None = None
    mode: str | None = Field(default=None, pattern=r"^[0-7]{4}$")
    absent: bool = False

    def __init__(self, path: str = "", **fields: Any) -> None:
        super().__init__(**{"path": path, **fields})

    @model_validator(mode="after")
    def _consistent(self) -> FileIs:
        if self.absent and (self._facts() or self.contains is not None):
            raise ValueError("an absent file has no content, owner or mode")
        return self

    def _facts(self) -> dict[str, str]:
        named = {"sha256": self.sha256, "owner": self.owner, "group": self.group, "mode": self.mode}
        return {name: value for name, value in named.items() if value is not None}

    def subject(self, target: Target) -> str:  # noqa: ARG002
        """The path."""
        return self.path

    def expected(self, target: Target) -> str:
        """What it should be."""
        if self.absent:
            return "absent"
        words = [f"{name} {value}" for name, value in self._facts().items()]
        words += [f"contains {target.render(self.contains)!r}"] if self.contains is not None else []
        return ", ".join(words) or "a file"

    def look(self, context: Context) -> Finding:
        """Read it."""
        client = connect(context)
        fact = look(client, file_key(self.path))
        if self.absent or fact["kind"] != "file":
            return Finding(self.absent and fact["kind"] == "absent", _article(fact["kind"]))
        found = [f"{name} {fact[name]}" for name, value in self._facts().items() if fact[name] != value]
        wanted = context.target.render(self.contains or "")
        if wanted and wanted not in client.read(self.path, _LONGEST).decode(errors="replace"):
            found.append(f"no {wanted!r} in it")
        return Finding(not found, ", ".join(found) or f"a file of {fact['size']} bytes, as expected")


def _article(kind: str) -> str:
    return {"absent": "absent", "other": "something else than a file"}.get(kind, f"a {kind}")
