"""The messages of the common mistakes, as they are printed today."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from remediate.cli.main import run
from tests.docs import project
from tests.docs.blocks import DOCS, code, rows, section

PAGE = DOCS / "writing-runbooks.md"
RUNBOOK = '''\
from remediate.authoring import *
{extra}

class Oops(Runbook):
    """An example that goes wrong."""

    class Inputs(Runbook.Inputs):
        name: UnitName = "cron"
        days: int = 30

    targets = "web"
    risk = Risk(level=RiskLevel.LOW, outage="none", data_loss="none")

    def steps(self, inputs):
        {step}
'''
STEP = 'yield File(path="/tmp/example", content="x")'


def _rows(heading: str) -> list[object]:
    found = rows(section(PAGE, heading))
    assert found
    return [pytest.param(wrote, says, id=wrote.strip("`")[:60]) for wrote, says in found]


def _said(folder: Path, capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What planning refuses with, as one line, with the project's folder as on the page."""
    argv = ["--project", str(folder), "plan", "oops", "--ticket", "CHG-1", "-o", str(folder / "x.plan.json")]
    assert run([*argv, *arguments]) in (2, 3)
    out, error = capfd.readouterr()
    assert not out
    problem = error[error.index("error: ") + len("error: ") :].partition("\nnext:")[0]
    return problem.strip().replace(str(folder), "…")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project.make(tmp_path)


@pytest.mark.parametrize(("wrote", "says"), _rows("In `steps()`"))
def test_in_a_step(wrote: str, says: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (step,) = code(wrote)
    project.put(folder, "runbooks/oops.py", RUNBOOK.format(extra="", step=step))
    assert [_said(folder, capfd)] == code(says)


@pytest.mark.parametrize(("wrote", "says"), _rows("On the command line"))
def test_on_the_command_line(wrote: str, says: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (line,) = code(wrote)
    project.put(folder, "runbooks/oops.py", RUNBOOK.format(extra="", step=STEP))
    assert [_said(folder, capfd, *shlex.split(line))] == code(says)


def _text(wrote: str) -> str:
    text = RUNBOOK.format(extra="", step=STEP)
    if wrote.startswith("no docstring"):
        return text.replace('    """An example that goes wrong."""\n', "")
    if wrote.startswith("no `risk`"):
        return "".join(line for line in text.splitlines(keepends=True) if "risk =" not in line)
    (line,) = code(wrote) or [""]
    if line.startswith("import "):
        return RUNBOOK.format(extra=line, step=STEP)
    return text.replace('targets = "web"', line or 'targets = "web"')


@pytest.mark.parametrize(("wrote", "says"), _rows("In the class"))
def test_in_the_class(wrote: str, says: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    project.put(folder, "runbooks/oops.py", _text(wrote))
    if wrote.startswith("a second class"):
        project.put(folder, "runbooks/other.py", _text(wrote))
    assert [_said(folder, capfd)] == code(says)
