"""A value out of a JSON answer, by a JMESPath expression."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, JsonValue, field_validator, model_validator

from remediate.adapters.checks.bounds import Bounds
from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.checks.web import authority, get, web_address
from remediate.model.base import Duration, canonical
from remediate.model.clip import clip
from remediate.model.step import Context
from remediate.model.target import Target

_SHOWN = 500


class HttpJson(Question):
    """GET this URL, look a value up in its JSON, and compare it.

    ``path`` is a JMESPath expression (https://jmespath.org), such as ``items[?state!='up'] | length(@)``.
    ``equals`` is any JSON value but null; ``at_least`` and ``at_most`` are for numbers. An expression that
    finds nothing (null) has failed, whatever was expected.
    """

    kind: ClassVar[str] = "http-json"
    filled: ClassVar[tuple[str, ...]] = ("url", "path", "equals", "headers")

    url: str = Field(min_length=1)
    path: str = Field(min_length=1)
    equals: JsonValue = None
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    at_most: float | None = Field(default=None, allow_inf_nan=False)
    status: int = 200
    headers: dict[str, str] = Field(default_factory=dict)
    token: str | None = None
    ca: str | None = None
    timeout: Duration = 10.0

    def __init__(self, url: str = "", path: str = "", **fields: Any) -> None:
        super().__init__(**{"url": url, "path": path, **fields})

    @field_validator("url")
    @classmethod
    def _is_web(cls, value: str) -> str:
        return web_address(value)

    @field_validator("path")
    @classmethod
    def _compiles(cls, value: str) -> str:
        from jmespath import compile as compile_
        from jmespath.exceptions import JMESPathError

        try:
            compile_(value)
        except JMESPathError as error:
            raise ValueError(f"not a JMESPath expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _compares(self) -> HttpJson:
        if (self.equals is None) != self._bounds.given:
            raise ValueError("give either equals, or at_least and at_most, or one of these two")
        return self

    @property
    def _bounds(self) -> Bounds:
        return Bounds(at_least=self.at_least, at_most=self.at_most)

    def artefacts(self, project: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """The authority's file, if it is the project's."""
        return authority(self.ca)

    def subject(self, target: Target) -> str:
        """The value and where it is."""
        return f"{target.render(self.path)} of GET {target.render(self.url)}"

    def expected(self, target: Target) -> str:
        """What it should be."""
        return json.dumps(self._wanted(target)) if self.equals is not None else str(self._bounds)

    def _wanted(self, target: Target) -> JsonValue:
        return target.render(self.equals) if isinstance(self.equals, str) else self.equals

    def look(self, context: Context) -> Finding:
        """Ask once."""
        import jmespath

        target = context.target
        headers = {name: target.render(value) for name, value in self.headers.items()}
        status, body = get(
            context,
            target.render(self.url),
            headers={"Accept": "application/json", **headers},
            token=self.token,
            ca=self.ca,
            timeout=self.timeout,
        )
        if status != self.status:
            return Finding(False, f"status {status}: {clip(body.decode(errors='replace'), _SHOWN)!r}")
        try:
            document = json.loads(body)
        except ValueError:
            return Finding(False, f"no JSON: {clip(body.decode(errors='replace'), _SHOWN)!r}")
        found = jmespath.search(target.render(self.path), document)
        return Finding(self._right(found, target), clip(json.dumps(found), _SHOWN))

    def _right(self, found: Any, target: Target) -> bool:
        if found is None:
            return False
        if self.equals is not None:
            return _same(found, self._wanted(target))
        number = isinstance(found, int | float) and not isinstance(found, bool)
        return number and self._bounds.holds(found)


def _same(found: Any, wanted: JsonValue) -> bool:
    try:
        return canonical(found) == canonical(wanted)
    except ValueError:  # NaN, which Python reads although JSON has none
        return False
