"""What programs and servers answer to checks, and what Ansible reports, when it is nonsense."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remediate.adapters.ansible.events import END, Recording
from remediate.adapters.ansible.outcome import results
from remediate.adapters.checks import http_json, promql
from remediate.adapters.checks.http_json import HttpJson
from remediate.adapters.checks.jmeter import read_samples, refuse_more_threads
from remediate.adapters.checks.k6 import read_summary
from remediate.adapters.checks.load import Measured, Thresholds
from remediate.adapters.checks.locust import read_stats
from remediate.adapters.checks.promql import PromQL
from remediate.errors import InputError
from remediate.model.step import Context, Status
from tests.adapters.checks.conftest import _pool, context, world
from tests.hostile import clear_refusal, hostile
from tests.hostile.mutations import json_values, nested, spoiled, text_of, values

__all__ = ["_pool", "context", "world"]

ALL = Thresholds(errors_percent=1, average_ms=100, p95_ms=100, p99_ms=100, throughput=0.1, samples=1)


def sound(read: Callable[[], Measured]) -> None:
    """Nonsense is refused; what is measured could have been measured."""
    with clear_refusal(InputError):
        try:
            found = read()
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, csv.Error):
            return  # told as "no results"
        assert 0 <= found.errors <= found.samples
        if not ALL.crossed(found):
            assert 0 <= found.average_ms <= 100
            assert 0 <= found.p95_ms <= 100
            assert found.throughput < float("inf")
        assert str(found)


JTL = (
    b"timeStamp,elapsed,label,responseCode,responseMessage,success,failureMessage\n"
    b"1700000000000,10,GET /,200,OK,true,\n1700000000100,20,GET /,500,Oops,false,no cheese\n"
)
STATS = (
    b"Type,Name,Request Count,Failure Count,Average Response Time,Requests/s,95%,99%\n"
    b",Aggregated,10,0,5.5,2.0,9,10\n"
)
SUMMARY = {"metrics": {
    "http_req_duration": {"avg": 1.0, "p(95)": 2.0, "p(99)": 3.0}, "http_reqs": {"count": 5, "rate": 1.0},
    "http_req_failed": {"passes": 0, "fails": 5}, "checks": {"passes": 5, "fails": 0},
}}  # fmt: skip


def rows(data: bytes) -> csv.DictReader[str]:
    return csv.DictReader(io.StringIO(data.decode(errors="replace"), newline=""))


@hostile("JMeter's samples (JTL): changed bytes", 200, "no results; or numbers that can be")
@given(spoiled(JTL))
@example(JTL.replace(b",10,", b",-1000,"))
@example(JTL + b'"' + b"x" * 200_000)
@example(b"timeStamp,elapsed,success\n1,2\n")
def test_jtl(data: bytes) -> None:
    sound(lambda: read_samples(rows(data)))


@hostile("Locust's statistics: changed bytes", 200, "no results; or numbers that can be")
@given(spoiled(STATS))
@example(STATS.replace(b"10,0,5.5", b"10,-1,-5.5"))
@example(STATS.replace(b"2.0", b"inf"))
@example(STATS.replace(b"10,0,", b"1,2,"))
def test_locust(data: bytes) -> None:
    sound(lambda: read_stats(rows(data)))


@hostile("k6's summary: changed values", 200, "no results; or numbers that can be")
@given(json_values(SUMMARY))
@example([])
@example({"metrics": {"http_reqs": {"count": "5"}}})
def test_k6(value: Any) -> None:
    sound(lambda: read_summary(value))


PLAN = b"""<jmeterTestPlan><ThreadGroup testname="t"><stringProp name="ThreadGroup.num_threads">1</stringProp>
</ThreadGroup></jmeterTestPlan>"""


@hostile(
    "JMeter's test plans: changed bytes", 150, "refused, the file named; or no more threads than approved"
)
@given(spoiled(PLAN))
@example(PLAN.replace(b">1<", "><²".encode()))
@example(PLAN.replace(b">1<", "²".encode().join([b">", b"<"])))
@example(PLAN.replace(b">1<", b">" + b"9" * 5000 + b"<"))
@example(
    b'<!DOCTYPE l [<!ENTITY a "x">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><l>&j;</l>"
)
@example(nested(b"<a>", b"</a>", depth=20_000))
def test_jmeter_plans(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "load.jmx"
    file.write_bytes(data)
    with clear_refusal(InputError):
        refuse_more_threads(file, 2)


VECTOR = {"status": "success", "warnings": ["w"], "data": {"resultType": "vector", "result": [
    {"metric": {"__name__": "up", "job": "a"}, "value": [1700000000.0, "1"]},
]}}  # fmt: skip


@hostile("answers of Prometheus: changed values", 200, "a failed check in words; never a pass by nonsense")
@given(json_values(VECTOR).map(text_of), st.sampled_from([200, 400, 500, 302]))
@example(nested(b"[", b"]"), 200)
@example(b'{"status": "success", "warnings": 5, "data": {"resultType": "scalar", "result": [0, "1"]}}', 200)
def test_prometheus(context: Context, body: bytes, status: int) -> None:
    with pytest.MonkeyPatch.context() as patch, clear_refusal():
        patch.setattr(promql, "get", lambda *_, **__: (status, body))
        result = PromQL("http://p", "up", expect=1).run(context)
    assert result.actual
    assert len(result.actual) < 2000
    if result.ok:
        found, _ = promql.read_answer(status, body)
        assert [one.value for one in found] == [1.0] * len(found) != []


@hostile("JSON answers of servers: any bytes", 200, "a failed check in words; never a pass by nonsense")
@given(st.one_of(spoiled(b'{"items": [{"n": 1}]}'), json_values({"items": [{"n": 1}]}).map(text_of)))
@example(nested(b"[", b"]"))
@example(nested(b'{"items":', b"}", b"1"))
@example(b'{"items": [{"n": 1' + b"0" * 5000 + b"}]}")
@example(b'{"items": [{"n": NaN}]}')
def test_json(context: Context, body: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch, clear_refusal():
        patch.setattr(http_json, "get", lambda *_, **__: (200, body))
        result = HttpJson("http://s", "items[0].n", at_least=1, at_most=1).run(context)
    assert result.actual
    assert len(result.actual) < 2000
    assert not result.ok or json.loads(body)["items"][0]["n"] == 1


EVENTS = [
    {"event": "playbook_on_task_start", "event_data": {"task": "t"}},
    {"event": "runner_on_start", "event_data": {"host": "web1", "task": "t"}},
    {"event": "runner_on_ok", "event_data": {"host": "web1", "task": "t", "task_action": "command",
     "res": {"changed": True, "rc": 0, "stdout": "out", "diff": [{"before": "a"}], "results": []}}},
    {"event": "runner_on_ok", "event_data": {"host": "web1", "task": END, "res": {}}},
    {"event": "playbook_on_stats", "event_data": {"processed": {"web1": 1}, "changed": {"web1": 1},
     "failures": {}, "dark": {}}},
]  # fmt: skip


def test_the_good_events_are_a_success() -> None:
    recording = Recording()
    for event in EVENTS:
        recording.take(event)
    assert results(recording, ["web1"], killed=False)["web1"].status is Status.OK


@hostile(
    "reports of Ansible: changed values, lost and doubled events", 300, "a result; if OK, a whole report"
)
@given(json_values(EVENTS, changes=3), st.booleans())
@example([*EVENTS[:-1], {"event": "playbook_on_stats", "event_data": {"changed": {"web1": "x"}}}], False)
@example([{"event": "runner_on_ok", "event_data": {"host": ["web1"]}}, *EVENTS], False)
def test_events(events: Any, killed: bool) -> None:
    recording = Recording()
    with clear_refusal():
        for event in events if isinstance(events, list) else [events]:
            recording.take(event)
        result = results(recording, ["web1"], killed=killed)["web1"]
    assert result.summary
    assert len(result.summary) <= 1000
    if result.status is Status.OK:
        assert recording.stats is not None
        assert recording.hosts["web1"].ended


@hostile("notes of check mode: changed bytes", 100, "counted as lost, not taken for nothing")
@given(st.one_of(spoiled(b'{"host": "web1", "task": "t"}\n' * 2), values.map(text_of)))
@example(b'{"host": "web1", "ta')
def test_notes(data: bytes) -> None:
    recording = Recording()
    with clear_refusal():
        recording.take_skipped(data.decode(errors="replace"))
    assert recording.lost or recording.hosts or not data.strip()


def test_a_lost_note_may_be_about_any_host() -> None:
    recording = Recording()
    recording.host("web1")
    recording.take_skipped('{"host": "web1", "ta')
    assert recording.hosts["web1"].unchecked
