"""Regression tests of the project as a check."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from remediate.adapters.checks.pytest_file import Counts, PytestFile, judge, read_report
from remediate.model.step import Context

GOOD = """
import os
def test_target():
    assert (os.environ["TARGET_NAME"], os.environ["TARGET_ADDRESS"]) == ("here", "127.0.0.1")
def test_no_secret():
    assert "SECRET" not in os.environ
"""


def run(context: Context, text: str, **fields: object) -> tuple[bool, str]:
    (context.artefacts / "test_shop.py").write_text(text)
    result = PytestFile("test_shop.py", **fields).run(context)
    return result.ok, result.actual


def test_all_pass(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    assert run(context, GOOD) == (True, "2 passed, 0 failed, 0 skipped")
    assert sorted(p.name for p in context.artefacts.iterdir()) == ["test_shop.py"], "nothing is left there"


@pytest.mark.parametrize(
    ("text", "actual"),
    [
        ("def test_a(): assert 1 == 2", "0 passed, 1 failed, 0 skipped; test_a: assert 1 == 2"),
        (
            "def test_a(): pass\ndef test_b(): raise OSError('down')",
            "1 passed, 1 failed, 0 skipped; test_b: OSError: down",
        ),
        (
            "import pytest\n@pytest.mark.skip\ndef test_a(): pass",
            "0 passed, 0 failed, 1 skipped: nothing was tested",
        ),
        ("def not_a_test(): pass", "0 passed, 0 failed, 0 skipped: nothing was tested"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("def test_a(:", "SyntaxError"),
        ("import os\ndef test_a(): os._exit(0)", "and no report"),
    ],
)
def test_anything_else_fails(context: Context, text: str, actual: str) -> None:
    ok, found = run(context, text)
    assert not ok
    assert actual in found


def test_a_missing_file_fails(context: Context) -> None:
    result = PytestFile("none.py").run(context)
    assert (result.ok, result.actual) == (False, "there is no none.py")


def test_the_time_is_kept_and_nothing_stays_behind(context: Context, tmp_path: Path) -> None:
    text = f"""
import subprocess, time
def test_a():
    subprocess.Popen(["sh", "-c", "sleep 1.5; touch {tmp_path}/alive"])
    time.sleep(60)
"""
    began = time.monotonic()
    assert run(context, text, timeout="1s") == (False, "not done within 1 s")
    assert time.monotonic() - began < 5
    time.sleep(1.6)
    assert not (tmp_path / "alive").exists()


def test_helpers_are_part_of_the_plan(context: Context) -> None:
    (context.artefacts / "conftest.py").write_text("import pytest\n@pytest.fixture\ndef one(): return 1\n")
    check = PytestFile("test_shop.py", helpers=("conftest.py",))
    assert check.artefacts(context.artefacts) == (Path("test_shop.py"), Path("conftest.py"))
    assert run(context, "def test_a(one): assert one == 1", helpers=("conftest.py",))[0]


def test_a_report_is_read_over_all_suites() -> None:
    report = """<testsuites><testsuite tests="9"><testcase name="a"/><testcase name="b"><failure message="x"/>
    <error message="y"/></testcase></testsuite><testsuite><testcase name="c"><skipped/></testcase></testsuite>
    </testsuites>"""
    assert read_report(report) == Counts(3, 1, 1, ("b: x", "b: y"))


def test_exit_code_and_report_must_agree() -> None:
    assert judge(0, Counts(1, 0, 0)).ok
    assert not judge(1, Counts(1, 0, 0)).ok
    assert not judge(0, Counts(0, 0, 0)).ok
    assert not judge(0, Counts(2, 1, 0, ("x",))).ok
