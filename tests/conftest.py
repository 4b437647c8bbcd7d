"""For all tests: a passed test's marks of what it tried become rows of docs/reliability.md."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.reliability import record


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Only what held is told."""
    report = yield
    if report.when == "call" and report.passed:
        for name, section in (("fault", "matrix"), ("hostile", "hostile")):
            for mark in item.iter_markers(name):
                record(section, *mark.args)
    return report
