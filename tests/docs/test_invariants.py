"""Every test and module that the page on invariants names is there, and every invariant is dealt with."""

from __future__ import annotations

import ast
import re

import pytest

from remediate.model.step import Level, StepClass
from tests.docs.blocks import DOCS, ROOT, code, rows, section

PAGE = DOCS / "invariants.md"
TEXT = PAGE.read_text(encoding="utf-8")
#: V1 to V15, and liveness.
NAMES = [*(f"V{n}" for n in range(1, 16)), "L1"]
_TESTS = sorted(set(re.findall(r"`(tests/\S+\.py)::(\w+)`", TEXT)))
_MODULES = sorted(set(re.findall(r"`(remediate/\S+\.py)`((?: \([^)]*\))?)", TEXT)))


def _functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}


def test_every_invariant_has_its_line_and_its_part() -> None:
    assert [r[0] for r in rows(section(PAGE, "The promises"))] == NAMES
    assert re.findall(r"^### ([VL]\d+):", TEXT, re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_part_names_modules_and_tests(name: str) -> None:
    heading = next(h for h in re.findall(r"^### (.+)$", TEXT, re.MULTILINE) if h.startswith(f"{name}:"))
    part = section(PAGE, heading)
    for word in ("**For you.**", "**Upheld in** `remediate/", "**Shown by**", "- `tests/"):
        assert word in part


@pytest.mark.parametrize(("path", "name"), _TESTS, ids=[n for _, n in _TESTS])
def test_a_named_test_exists(path: str, name: str) -> None:
    assert name in _functions(path)


@pytest.mark.parametrize(("path", "notes"), _MODULES, ids=[p for p, _ in _MODULES])
def test_a_named_module_exists_with_the_functions_that_are_named(path: str, notes: str) -> None:
    named = {n for n in code(notes) if re.fullmatch(r"[a-z_]+", n)}
    assert named <= _functions(path), named - _functions(path)


def test_levels_and_classes_are_those_of_the_code() -> None:
    assert [r[0] for r in rows(section(PAGE, "Backup levels"))] == [str(level) for level in Level]
    classes = [r[0].partition(",")[0] for r in rows(section(PAGE, "Step classes"))]
    assert classes == [str(step_class) for step_class in StepClass]
