"""The page on dependencies lists what is declared, no more and no less."""

from __future__ import annotations

import re
import tomllib

import pytest

from remediate.lab.image import PACKAGES
from remediate.lab.lab import EXTRAS, components, extra_parts
from tests.docs.blocks import DOCS, ROOT, code, rows, section

PAGE = DOCS / "dependencies.md"
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_EXTRAS = _PROJECT["optional-dependencies"]
_DECLARED = {
    "Runtime": _PROJECT["dependencies"],
    "Tests": _EXTRAS["test"],
    "Measuring": _EXTRAS["bench"],
}


@pytest.mark.parametrize("heading", _DECLARED)
def test_python_packages(heading: str) -> None:
    declared = {re.split(r"[<>=!~ ;\[]", requirement)[0] for requirement in _DECLARED[heading]}
    assert {code(r[0])[0] for r in rows(section(PAGE, heading))} == declared


def test_every_extra_has_its_part() -> None:
    assert set(_EXTRAS) == {"test", "bench"}


def test_packages_of_the_machine() -> None:
    listed = {name for r in rows(section(PAGE, "The lab")) for name in code(r[0])}
    assert listed == {name for part in (*components(), *extra_parts(EXTRAS)) for name in part.packages()}


def test_packages_of_the_image() -> None:
    prose = section(PAGE, "The lab").partition("And inside")[2]
    assert set(code(" ".join(prose.split()))) == set(PACKAGES)
