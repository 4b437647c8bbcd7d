"""What a Prometheus server (or one that speaks its query API) has measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

from pydantic import Field, field_validator, model_validator

from remediate.adapters.checks.bounds import Bounds
from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.checks.web import authority, get, web_address
from remediate.errors import InputError
from remediate.model.base import Duration
from remediate.model.clip import clip
from remediate.model.step import Context
from remediate.model.target import Target

_SHOWN = 500
_SERIES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant vector, with its labels as PromQL writes them."""

    labels: str
    value: float

    def __str__(self) -> str:
        return f"{self.labels} {self.value:g}".strip()


class PromQL(Question):
    """An instant query, and the bounds that every series of its answer must keep.

    No series is a failed check, and so is NaN or an infinity: nothing was measured. ``expect`` is a bound on
    both sides; ``series`` is the smallest number of series. Warnings of the server are shown. An instant
    query takes samples of up to 5 minutes ago (Prometheus, "Staleness"): to see only what came after the
    step, ask for a ``rate`` or ``…_over_time`` of a short range and give ``within``.
    """

    kind: ClassVar[str] = "promql"
    filled: ClassVar[tuple[str, ...]] = ("url", "query")

    url: str = Field(min_length=1)
    query: str = Field(min_length=1)
    expect: float | None = Field(default=None, allow_inf_nan=False)
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    at_most: float | None = Field(default=None, allow_inf_nan=False)
    series: int = Field(default=1, ge=1)
    token: str | None = None
    ca: str | None = None
    timeout: Duration = 10.0

    def __init__(self, url: str = "", query: str = "", **fields: Any) -> None:
        super().__init__(**{"url": url, "query": query, **fields})

    @field_validator("url")
    @classmethod
    def _is_web(cls, value: str) -> str:
        return web_address(value)

    @model_validator(mode="after")
    def _compares(self) -> PromQL:
        if (self.expect is None) != self._bounds.given:
            raise ValueError("give either expect, or at_least and at_most, or one of these two")
        return self

    @property
    def _bounds(self) -> Bounds:
        return Bounds(at_least=self.at_least, at_most=self.at_most)

    def artefacts(self, project: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """The authority's file, if it is the project's."""
        return authority(self.ca)

    def subject(self, target: Target) -> str:
        """The query and the server."""
        return f"{target.render(self.query)} at {target.render(self.url)}"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """The bounds."""
        what = f"{self.expect:g}" if self.expect is not None else str(self._bounds)
        return f"{what} in each of {self.series} or more series"

    def look(self, context: Context) -> Finding:
        """Ask once."""
        target = context.target
        url = target.render(self.url).rstrip("/") + "/api/v1/query?"
        # The server gives up before we do, and then says so.
        asked = urlencode({"query": target.render(self.query), "timeout": f"{self.timeout:g}s"})
        status, body = get(context, url + asked, token=self.token, ca=self.ca, timeout=self.timeout)
        samples, notes = read_answer(status, body)
        bad = [s for s in samples if not self._right(s.value)]
        shown = _listed(bad or samples)
        words = f"{len(bad)} of {len(samples)} series: {shown}" if bad else f"{len(samples)} series: {shown}"
        if not samples:
            words = "an empty answer: nothing was measured"
        return Finding(len(samples) >= self.series and not bad, clip("; ".join([words, *notes]), _SHOWN))

    def _right(self, value: float) -> bool:
        return value == self.expect if self.expect is not None else self._bounds.holds(value)


def read_answer(status: int, body: bytes) -> tuple[list[Sample], list[str]]:
    """Samples and warnings of an answer of ``/api/v1/query`` (Prometheus HTTP API, v1).

    Raises:
        InputError: it is an error, none of that API, or of a type that has no single values.
    """
    text = clip(body.decode(errors="replace"), _SHOWN)
    try:
        answer = json.loads(body)
        if answer["status"] != "success":
            raise InputError(f"status {status}: {answer.get('errorType')}: {answer.get('error')}")
        data = answer["data"]
        samples = list(_samples(data["resultType"], data["result"]))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise InputError(f"status {status} and no answer of a Prometheus server: {text!r}") from None
    notes = [f"warning: {w}" for w in (*answer.get("warnings", ()), *answer.get("infos", ()))]
    return samples, notes


def _samples(type_: str, result: Any) -> Iterator[Sample]:
    if type_ == "scalar":
        yield Sample("", float(result[1]))
    elif type_ == "vector":
        for one in result:
            yield Sample(_labels(one["metric"]), float(one["value"][1]))
    else:
        raise InputError(f"the query gives a {type_}, not single values", "write an instant query")


def _labels(metric: dict[str, str]) -> str:
    inside = ", ".join(f'{k}="{v}"' for k, v in sorted(metric.items()) if k != "__name__")
    return f"{metric.get('__name__', '')}{{{inside}}}"


def _listed(samples: Sequence[Sample]) -> str:
    more = len(samples) - _SERIES_SHOWN
    words = [str(s) for s in samples[:_SERIES_SHOWN]]
    return ", ".join([*words, f"and {more} more"] if more > 0 else words)
