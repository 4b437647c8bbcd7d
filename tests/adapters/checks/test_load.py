"""Load tests: thresholds, what the programs write, and real ones where they are installed.

``load/recorded`` holds what k6 0.57.0 and Locust 2.47.0 wrote of a run of 2 s against the web server of these
tests (k6: a page that is broken). They run for real where they are on the PATH; JMeter is the lab's own.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from remediate.adapters.checks import programs
from remediate.adapters.checks.asking import ask
from remediate.adapters.checks.jmeter import JMeterPlan, read_samples, refuse_more_threads
from remediate.adapters.checks.k6 import K6Script, read_summary
from remediate.adapters.checks.load import LoadTest, Measured, Thresholds, percentile
from remediate.adapters.checks.locust import LocustFile, read_stats
from remediate.errors import InputError
from remediate.lab.jmeter import JMeter
from remediate.model.step import CheckResult
from tests.adapters.hosts.world import World

LOAD = Path(__file__).parent / "load"
RECORDED = LOAD / "recorded"
GOOD = Measured(samples=100, errors=1, average_ms=50, p95_ms=90, p99_ms=120, throughput=20)


@pytest.mark.parametrize(
    ("thresholds", "crossed"),
    [
        (Thresholds(errors_percent=1, average_ms=50, p95_ms=90, p99_ms=120, throughput=20, samples=100), ""),
        (Thresholds(), "1.00 % errors, not at most 0"),
        (Thresholds(errors_percent=5, average_ms=49), "average 50 ms, not at most 49"),
        (Thresholds(errors_percent=5, p95_ms=80), "p95 90 ms"),
        (Thresholds(errors_percent=5, p99_ms=80), "p99 120 ms"),
        (Thresholds(errors_percent=5, throughput=21), "20.0 per second, not at least 21"),
        (Thresholds(errors_percent=5, samples=101), "100 samples are fewer than 101"),
    ],
)
def test_thresholds(thresholds: Thresholds, crossed: str) -> None:
    assert crossed in "; ".join(thresholds.crossed(GOOD))
    assert bool(crossed) == bool(thresholds.crossed(GOOD))


def test_what_was_not_measured_crosses_every_threshold() -> None:
    nan = float("nan")
    nothing = Measured(samples=1, errors=0, average_ms=nan, p95_ms=nan, p99_ms=nan, throughput=nan)
    wanted = Thresholds(average_ms=1e9, p95_ms=1e9, p99_ms=1e9, throughput=1e-9)
    assert len(wanted.crossed(nothing)) == 4
    assert Thresholds(errors_percent=100).crossed(Measured(0, 0, nan, nan, nan, 0.0))


def test_too_few_samples_prove_nothing() -> None:
    few = Measured(samples=9, errors=0, average_ms=1, p95_ms=1, p99_ms=1, throughput=1)
    assert Thresholds(samples=10).crossed(few) == ["9 samples are fewer than 10"]
    assert Thresholds(samples=9).crossed(few) == []


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 50), (95, 95), (99, 99), (100, 100)])
def test_percentiles(percent: float, value: float) -> None:
    assert percentile(range(1, 101), percent) == value
    assert percentile([7], percent) == 7


JTL = "timeStamp,elapsed,label,responseCode,responseMessage,success,failureMessage\n"


def test_samples_of_jmeter() -> None:
    rows = "1000,100,a,200,OK,true,\n1500,300,a,500,Oops,false,\n1900,200,b,200,OK,false,too slow\n"
    found = read_samples(csv.DictReader(io.StringIO(JTL + rows)))
    assert (found.samples, found.errors, found.average_ms, found.p95_ms) == (3, 2, 200, 300)
    assert found.throughput == pytest.approx(3 / 1.1)
    assert found.complaints == ("1 x a: 500 Oops", "1 x b: 200 too slow")
    assert read_samples(csv.DictReader(io.StringIO(JTL))).samples == 0


@pytest.mark.parametrize("rows", ["x,1,a,200,OK,true,\n", "1000,1\n"])
def test_a_log_that_was_cut_off_is_an_error(rows: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_samples(csv.DictReader(io.StringIO(JTL + rows)))


def test_recorded_summary_of_k6() -> None:
    found = read_summary(json.loads((RECORDED / "k6_0.57.0_summary.json").read_text()))
    assert (found.samples, found.errors_percent) == (111, 100.0)
    assert 0 < found.average_ms < found.p95_ms < found.p99_ms
    assert found.throughput == pytest.approx(54, abs=1)


def test_recorded_statistics_of_locust() -> None:
    with (RECORDED / "locust_2.47.0_stats.csv").open(newline="") as file:
        found = read_stats(csv.DictReader(file))
    assert (found.samples, found.errors, found.p95_ms, found.p99_ms) == (51, 0, 22, 45)
    with pytest.raises(InputError, match="no statistics"):
        read_stats(csv.DictReader(io.StringIO("Name,x\na,1\n")))


@pytest.mark.parametrize(
    ("threads", "tag", "ok"),
    [
        ("${__P(users)}", "ThreadGroup", True),
        ("${__P(users,1)}", "ThreadGroup", True),
        ("3", "ThreadGroup", True),
        ("4", "ThreadGroup", False),
        ("${__P(more)}", "ThreadGroup", False),
        ("", "ThreadGroup", False),
        ("3", "kg.apc.UltimateThreadGroup", False),
    ],
)
def test_a_plan_with_more_threads_is_refused(tmp_path: Path, threads: str, tag: str, ok: bool) -> None:
    text = (LOAD / "plan.jmx").read_text().replace("${__P(users)}", threads)
    path = tmp_path / "plan.jmx"
    path.write_text(text.replace("<ThreadGroup ", f"<{tag} ").replace("</ThreadGroup>", f"</{tag}>"))
    if ok:
        refuse_more_threads(path, 3)
    else:
        with pytest.raises(InputError, match="users"):
            refuse_more_threads(path, 3)


@pytest.mark.parametrize("fields", [{"users": 0}, {"users": 1001}, {"duration": "2h"}, {"path": "../x"}])
def test_a_load_without_bounds_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JMeterPlan(**{"path": "plan.jmx", **fields})


_LOCUST = """
from locust import HttpUser, constant, task


class Reader(HttpUser):
    wait_time = constant(0.05)

    @task
    def health(self):
        self.client.get("/healthz")
"""


def _program(world: World, body: str) -> str:
    """A program of the test's own."""
    path = world.folder / "program"
    path.write_text(f"#!{sys.executable}\nimport os, sys, time\n{body}\n")
    path.chmod(stat.S_IRWXU)
    return str(path)


def _asked(world: World, check: LoadTest) -> CheckResult:
    for file in (p for p in LOAD.iterdir() if p.is_file()):
        shutil.copy(file, world.folder / "project")
    return ask(check, world.context())


_WRITE = "open(sys.argv[sys.argv.index('-l') + 1], 'w').write({!r}); sys.exit({})"


@pytest.mark.parametrize(
    ("body", "ok", "actual"),
    [
        (_WRITE.format(f"{JTL}1,2,a,200,OK,true,\n", 0), True, "1 samples, 0.00 % errors"),
        # The exit code tells nothing, in either direction.
        (_WRITE.format(f"{JTL}1,2,a,500,Oops,false,\n", 0), False, "100.00 % errors, not at most 0"),
        (_WRITE.format(JTL, 0), False, "0 samples are fewer than 1"),
        (_WRITE.format(f"{JTL}1,2,a,20", 0), False, "no results"),
        ("print('no license'); sys.exit(1)", False, "(exit code 1): no license"),
        ("time.sleep(60)", False, "not done within 1.5 s"),
    ],
)
def test_what_a_program_may_do(world: World, body: str, ok: bool, actual: str) -> None:
    check = JMeterPlan("plan.jmx", duration=1, start=0.5, program=_program(world, body))
    result = _asked(world, check)
    assert (result.ok, actual in result.actual) == (ok, True), result
    assert result.seconds < 8


def test_a_program_that_is_missing_says_how_to_install_it(world: World) -> None:
    for check in (JMeterPlan("plan.jmx", program="/no/jmeter"), K6Script("plan.jmx", program="no-k6")):
        result = _asked(world, check)
        assert not result.ok
        assert f"is not installed; install it: {check.install}" in result.actual


def test_nothing_stays_behind_and_nothing_secret_goes_along(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "s3cret")
    child = world.folder / "child"
    body = f"if not os.fork():\n    open({str(child)!r}, 'w').write(str(os.getpid())); time.sleep(60)\n"
    body += "print(sorted(os.environ)); time.sleep(60)"
    argv = [_program(world, body)]
    ended = programs.run(argv, seconds=1.0, cwd=world.folder, env=programs.environment({"HOME": "/"}))
    assert ended.code is None
    assert "DB_PASSWORD" not in ended.said
    _until(lambda: not _alive(int(child.read_text())))


def test_a_program_ends_at_its_time_even_if_we_are_killed(world: World) -> None:
    child = world.folder / "child"
    program = _program(world, f"open({str(child)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    call = f"programs.run([{program!r}], seconds=0.5, cwd=Path('/'), env={{}})"
    code = f"from pathlib import Path\nfrom remediate.adapters.checks import programs\n{call}"
    with subprocess.Popen([sys.executable, "-c", code]) as ours:
        _until(lambda: child.exists() and child.read_text() != "")
        ours.kill()
    assert _alive(int(child.read_text()))
    _until(lambda: not _alive(int(child.read_text())))


def _until(holds: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.lab
@pytest.mark.skipif(not JMeter().program.exists(), reason="no JMeter: remediate lab up --with jmeter")
def test_a_real_jmeter(world: World, web: int) -> None:
    jmeter = JMeter()
    properties = {"port": str(web), "path": "/healthz"}
    check = JMeterPlan(
        "plan.jmx",
        users=2,
        duration=3,
        program=str(jmeter.program),
        properties=properties,
        thresholds=Thresholds(p95_ms=2000, samples=10),
    )
    result = _asked(world, check)
    assert result.ok, result
    broken = check.model_copy(update={"duration": 1.0, "properties": {**properties, "path": "/broken"}})
    result = _asked(world, broken)
    assert not result.ok
    assert "x health: 500 Internal Server Error" in result.actual


@pytest.mark.skipif(shutil.which("k6") is None, reason="k6 is not installed")
def test_a_real_k6(world: World, web: int) -> None:
    (world.folder / "project" / "script.js").write_text(
        f'import http from "k6/http";\nexport default () => http.get("http://127.0.0.1:{web}/healthz");\n'
    )
    assert _asked(world, K6Script("script.js", duration=1)).ok


@pytest.mark.skipif(shutil.which("locust") is None, reason="Locust is not installed")
def test_a_real_locust(world: World, web: int) -> None:
    (world.folder / "project" / "locustfile.py").write_text(_LOCUST)
    result = _asked(world, LocustFile("locustfile.py", duration=2, host=f"http://127.0.0.1:{web}"))
    assert result.ok, result
