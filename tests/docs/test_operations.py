"""What the operations page says of settings, variables and exit codes is what the code says."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from remediate.calendar.window import parse_window
from remediate.config import ENVIRONMENT, Config, load_config
from remediate.errors import Exit
from remediate.model.base import seconds
from remediate.service.ticketing import FileSettings, RtSettings
from tests.docs import project
from tests.docs.blocks import DOCS, ROOT, blocks, code, rows, section

PAGE = DOCS / "operations.md"
#: Heading to the class of its keys.
SECTIONS: dict[str, type[BaseModel]] = {
    "people.NAME": Config.model_fields["people"].annotation.__args__[1],  # type: ignore[union-attr]
    "ticket.file": FileSettings,
    "ticket.rt": RtSettings,
    "approval.policy": type(Config.model_fields["approval"].default.policy),
} | {
    name: type(field.default)
    for name, field in Config.model_fields.items()
    if isinstance(field.default, BaseModel)
}
#: Keys that have a section of their own.
_OWN = {("approval", "policy")}


def _keys(name: str) -> dict[str, str]:
    return {r[0].strip("`"): r[1] for r in rows(section(PAGE, f"`[{name}]`"))}


def test_every_section_is_documented() -> None:
    headings = re.findall(r"^### `\[(.+)\]`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(headings) == set(SECTIONS)


@pytest.mark.parametrize("name", SECTIONS)
def test_documented_keys_are_the_existing_ones(name: str) -> None:
    existing = {key for key in SECTIONS[name].model_fields if (name, key) not in _OWN}
    assert set(_keys(name)) == existing


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", SECTIONS)
def test_documented_defaults_are_the_real_ones(name: str) -> None:
    for key, cell in _keys(name).items():
        field = SECTIONS[name].model_fields[key]
        if cell == "required":
            assert field.is_required(), key
            continue
        default = _plain(field.get_default(call_default_factory=True))
        shown = code(cell)[0] if cell.startswith("`") and cell.endswith("`") else None
        if shown is None:
            assert default is None, f"{key} is {default!r} by default"
            continue
        value = tomllib.loads(f"value = {shown}")["value"]
        assert default == value or default == seconds(value), key


def test_the_example_is_valid(tmp_path: Path) -> None:
    (example,) = blocks(PAGE, "toml")
    project.put(tmp_path, "remediate.toml", example.text)
    assert load_config(tmp_path, {}).find_person("carol@example.org") == "carol"


def test_documented_variables_are_the_existing_ones() -> None:
    table = {r[0].strip("`"): code(r[1])[0] for r in rows(section(PAGE, "Environment variables"))}
    assert {k: v for k, v in table.items() if "." in v} == {k: ".".join(v) for k, v in ENVIRONMENT.items()}
    source = "".join(p.read_text() for p in (ROOT / "remediate/cli").glob("*.py"))
    source += (ROOT / "remediate/config/__init__.py").read_text()
    read = set(re.findall(r'environ(?:\.get\(|\[|\)\.get\()"(REMEDIATE_\w+)"', source)) - set(ENVIRONMENT)
    assert read == {k for k, v in table.items() if "." not in v}


_CODES = {int(e): e.name.lower().replace("_", " ") for e in Exit}


def test_exit_codes() -> None:
    table = {int(r[0]): r[1] for r in rows(section(PAGE, "Exit codes"))}
    assert table == _CODES


def test_exit_codes_of_the_readme() -> None:
    found = rows(section(ROOT / "README.md", "Exit codes"))
    assert {int(r[0]) for r in found} == set(_CODES)


def test_the_on_call_page_knows_every_code_that_needs_something() -> None:
    headings = re.findall(r"^### Exit code (\d+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {int(h) for h in headings} == set(_CODES) - {Exit.VERIFIED_NEW, Exit.INTERNAL, Exit.USAGE}


def test_forms_of_a_window() -> None:
    now = datetime(2026, 11, 28, 20, 30, tzinfo=UTC)
    windows = {}
    for cell, _ in rows(section(PAGE, "Windows and freezes")):
        windows[cell] = parse_window(code(cell)[0], "Europe/Berlin", now)
    four_hours = [w for w in windows.values() if w.end - w.start == timedelta(hours=4)]
    assert len(windows) == 5
    assert len(four_hours) == 4


def test_rights_in_request_tracker_are_those_of_the_lab() -> None:
    part = section(PAGE, "Request Tracker")
    named = set(
        re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b", part.partition("these rights")[2].partition("3.")[0])
    )
    seed = (ROOT / "remediate/lab/files/rt/initialdata.pl").read_text(encoding="utf-8")
    granted = set(re.findall(r"\w+", re.search(r"my @work = qw\(([^)]*)\)", seed)[1]))  # type: ignore[index]
    assert len(named) == 8
    assert named <= granted


def test_words_of_the_program_are_words_of_the_program() -> None:
    """Messages that the on-call tables quote stand in the code, so that a search for them finds the page."""
    source = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "remediate").rglob("*.py"))
    text = re.sub(r'"\s*\n\s*f?"', "", source)
    for heading in ("Exit code 3: refused", "Exit code 6: waiting"):
        for cell, _ in rows(section(PAGE, heading)):
            for quoted in code(cell):
                for part in re.split(r"…|\(…\)", quoted):
                    words = part.strip(" ,:()→")
                    assert not words or words in text or json.dumps(words)[1:-1] in text, quoted
