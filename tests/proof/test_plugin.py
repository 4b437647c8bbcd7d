"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from remediate.lab import lab
from remediate.lab.interface import Component
from tests.docs.blocks import DOCS, ROOT, blocks
from tests.e2e.world import World

pytest_plugins = ["pytester"]

TEST = """
def test_rollback(prove_rollback):
    prove_rollback({name!r}, limit="web1", steps=["s01-command"], moments=["after"]).check()
"""


@pytest.fixture(autouse=True)
def _only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not it is installed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """A run of pytest in the folder of this test."""
    return pytester.runpytest_inprocess("-p", "remediate.testing.plugin", *words)


def test_it_is_an_entry_point() -> None:
    """So that installing the tool is all that an author does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"remediate": "remediate.testing.plugin"}


def test_who_does_not_use_it_pays_nothing() -> None:
    """Nothing of the tool but the plugin itself is imported, nor what the tool is built with."""
    code = "import remediate.testing.plugin, sys; print(*sys.modules)"
    words = [sys.executable, "-c", code]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    ours = {m for m in loaded if m.partition(".")[0] == "remediate"}
    assert ours == {"remediate", "remediate.testing", "remediate.testing.plugin"}
    assert not {"pydantic", "click", "yaml", "paramiko"} & set(loaded)


def test_skipped_without_the_option(pytester: pytest.Pytester) -> None:
    """With the reason, and without opening a project."""
    pytester.makepyfile(TEST.format(name="any"))
    result = run(pytester, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs the lab*--remediate-lab*"])


def test_marked_tests_are_skipped_too(pytester: pytest.Pytester) -> None:
    """And the marker is known where markers are strict."""
    pytester.makepyfile("import pytest\n@pytest.mark.remediate_lab\ndef test_it(): assert False\n")
    run(pytester, "--strict-markers").assert_outcomes(skipped=1)
    run(pytester, "--strict-markers", "--remediate-lab").assert_outcomes(failed=1)


def test_the_project_is_there(pytester: pytest.Pytester) -> None:
    """Also for tests that break nothing."""
    pytester.makefile(".toml", remediate='[project]\nname = "mine"\n')
    pytester.makepyfile(
        "def test_name(remediate_project): assert remediate_project.config.project.name == 'mine'\n"
    )
    run(pytester).assert_outcomes(passed=1)


@pytest.mark.lab
def test_a_rollback_is_proved_or_the_test_fails(
    place: World, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure names what was not restored."""

    def components() -> tuple[Component, ...]:
        return (place.lab,)

    monkeypatch.setattr(lab, "components", components)
    pytester.makepyfile(test_right=TEST.format(name="right-undo"), test_wrong=TEST.format(name="wrong-owner"))
    result = run(pytester, "--remediate-lab", "--remediate-project", str(place.root))
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*AssertionError: the rollback of wrong-owner is not proved: 1 case: 1 not restored",
            "E*s01-command, after: *web1: file:/etc/crontab: owner 0:0 → 33:0",
        ]
    )


def test_the_documented_example(pytester: pytest.Pytester) -> None:
    """It is collected as it stands, and knows no fixture that isn't there."""
    (example,) = blocks(DOCS / "testing.md", "python")
    pytester.makepyfile(test_example=example.text)
    # Where it is installed, the pytest around this one has loaded the plugin already.
    strict = ("-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning")
    run(pytester, *strict).assert_outcomes(skipped=2)
    run(pytester, "--remediate-lab", "--setup-plan").assert_outcomes()
