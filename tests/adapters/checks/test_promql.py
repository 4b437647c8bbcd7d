"""PromQL: answers that prove nothing, and a real Prometheus."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from remediate.adapters.checks.asking import ask
from remediate.adapters.checks.promql import PromQL, read_answer
from remediate.errors import InputError
from remediate.lab import machine_packages
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from remediate.lab.monitoring import Monitoring
from remediate.model.step import Context

#: Fixed, so that the next session ends what a killed one has left.
LAYOUT = Layout(Path("/var/lib/remediate-lab-prom"), "rmprom", "10.213.97")


def quiet(_line: str) -> None:
    """Progress for nobody."""


@pytest.fixture(scope="session")
def monitoring() -> Iterator[Monitoring]:
    """Prometheus, node exporter and Alertmanager of these tests' own."""
    made = Monitoring(LAYOUT)
    machine_packages.install(made.packages(), quiet)
    with locked(Path("/run") / f"{LAYOUT.home.name}.lock", quiet):
        made.down()
        try:
            made.reset(quiet)
            yield made
        finally:
            made.down()
            shutil.rmtree(LAYOUT.home)


@pytest.mark.lab
@pytest.mark.parametrize(
    ("query", "fields", "ok", "actual"),
    [
        ('up{job="prometheus"}', {"expect": 1, "within": "10s", "every": "200ms"}, True, "1 series: up{"),
        ("up", {"at_least": 1, "series": 2, "within": "10s", "every": "200ms"}, True, "2 series"),
        ("up", {"at_least": 1, "series": 3}, False, "2 series"),
        ("up", {"at_most": 0.5}, False, "2 of 2 series"),
        ('up{job="{target.name}"}', {"expect": 1}, False, "an empty answer: nothing was measured"),
        ("scalar(nothing)", {"at_most": 5}, False, "nan"),
        ("vector(1) / 0", {"at_least": 5}, False, "inf"),
        ("1 + 1", {"expect": 2}, True, "1 series: 2"),
        ("up[1m]", {"expect": 1}, False, "the query gives a matrix"),
        ("up{", {"expect": 1}, False, "bad_data"),
    ],
)
def test_a_real_prometheus(
    monitoring: Monitoring, context: Context, query: str, fields: dict[str, Any], ok: bool, actual: str
) -> None:
    result = ask(PromQL(monitoring.url + "/", query, **fields), context)
    assert (result.ok, actual in result.actual) == (ok, True), result


@pytest.mark.lab
def test_all_parts_run_as_nobody_important_and_leave_nothing(monitoring: Monitoring) -> None:
    assert {item.state for item in monitoring.status()} == {"up"}
    monitoring.up(pytest.fail)
    monitoring.down()
    assert {item.state for item in monitoring.status()} == {"down"}
    monitoring.up(quiet)


def _answer(**more: object) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}, **more}).encode()


def test_warnings_are_shown() -> None:
    assert read_answer(200, _answer(warnings=["a replica is down"])) == ([], ["warning: a replica is down"])


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b"{}", b'{"status": "success"}', _answer(data={"resultType": "vector"}), b"null"],
)
def test_what_is_no_prometheus(body: bytes) -> None:
    with pytest.raises(InputError, match="no answer of a Prometheus"):
        read_answer(200, body)


@pytest.mark.parametrize("fields", [{}, {"expect": 1, "at_most": 2}, {"expect": float("nan")}, {"series": 0}])
def test_nonsense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PromQL("http://x", "up", **fields)
