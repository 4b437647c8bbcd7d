"""What a web server answers to this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, JsonValue, field_validator

from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.checks.web import authority, get, web_address
from remediate.model.base import Duration, canonical
from remediate.model.clip import clip
from remediate.model.step import Context
from remediate.model.target import Target

_SHOWN = 300


class Http(Question):
    """GET this URL: status, content, and values of a JSON answer.

    ``json_has`` holds expected values by dotted path: ``{"items.0.state": "up"}``. TLS certificates are
    always verified, against the system's authorities or the PEM file ``ca`` (of the project, or an absolute
    path on this machine). Redirects are answers, not followed. No proxy is used.
    """

    kind: ClassVar[str] = "http"
    filled: ClassVar[tuple[str, ...]] = ("url", "contains", "json_has", "headers")

    url: str = Field(min_length=1)
    status: int = 200
    contains: str | None = None
    json_has: dict[str, JsonValue] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    ca: str | None = None
    timeout: Duration = 10.0

    def __init__(self, url: str = "", **fields: Any) -> None:
        super().__init__(**{"url": url, **fields})

    @field_validator("url")
    @classmethod
    def _is_web(cls, value: str) -> str:
        return web_address(value)

    def artefacts(self, project: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """The authority's file, if it is the project's."""
        return authority(self.ca)

    def subject(self, target: Target) -> str:
        """The request."""
        return f"GET {target.render(self.url)}"

    def expected(self, target: Target) -> str:
        """Status and content."""
        words = [f"status {self.status}"]
        words += [f"contains {target.render(self.contains)!r}"] if self.contains is not None else []
        words += [f"{path} = {json.dumps(_render(value, target))}" for path, value in self.json_has.items()]
        return ", ".join(words)

    def look(self, context: Context) -> Finding:
        """Ask once."""
        target = context.target
        headers = {name: target.render(value) for name, value in self.headers.items()}
        url = target.render(self.url)
        status, body = get(context, url, headers=headers, ca=self.ca, timeout=self.timeout)
        problems = [f"status {status}"] if status != self.status else []
        text = body.decode(errors="replace")
        wanted = target.render(self.contains or "")
        if wanted not in text:
            problems.append(f"no {wanted!r} in: {clip(text, _SHOWN)!r}")
        problems += self._differences(body, target)
        if problems:
            return Finding(False, ", ".join(problems))
        return Finding(True, f"status {status}, {len(body)} bytes as expected")

    def _differences(self, body: bytes, target: Target) -> list[str]:
        if not self.json_has:
            return []
        try:
            found = json.loads(body)
        except ValueError:
            return [f"no JSON: {clip(body.decode(errors='replace'), _SHOWN)!r}"]
        problems = []
        for path, value in self.json_has.items():
            there, actual = _at(found, path)
            if not there:
                problems.append(f"no {path}")
            elif canonical(actual) != canonical(_render(value, target)):
                problems.append(f"{path} = {clip(json.dumps(actual), _SHOWN)}")
        return problems


def _render(value: JsonValue, target: Target) -> JsonValue:
    return target.render(value) if isinstance(value, str) else value


def _at(value: Any, path: str) -> tuple[bool, Any]:
    """What stands at a dotted path; numbers are places in a list."""
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return False, None
    return True, value
