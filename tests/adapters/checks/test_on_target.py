"""Checks that look at the target itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from remediate.adapters.checks.command import Command
from remediate.adapters.checks.files import FileIs
from remediate.adapters.checks.service import ServiceIs
from remediate.model.base import sha256
from remediate.model.step import Context


@pytest.mark.parametrize(
    "check",
    [
        Command(["true"]),
        Command(["sh", "-c", "exit 3"], rc=3),
        Command(["echo", "  hello  "], equals="hello"),
        Command(["echo", "{target.name}"], equals="here"),
        Command(["echo", "${Version} {x}"], equals="${Version} {x}"),
        Command(["echo", "a", "b"], contains="a b", matches="^a.b$"),
    ],
)
def test_command_right(context: Context, check: Command) -> None:
    result = check.run(context)
    assert result.ok, result
    assert result.actual


@pytest.mark.parametrize(
    ("check", "actual"),
    [
        (Command(["false"]), "ended with exit code 1"),
        (Command(["sh", "-c", "echo why >&2; exit 2"], equals=""), "ended with exit code 2: why"),
        (Command(["echo", "b"], equals="a"), "'b'"),
        (Command(["echo", "b"], contains="a"), "'b'"),
        (Command(["echo", "b"], matches="a"), "'b'"),
        (Command(["/no/such"]), "no answer: here: can't run /no/such"),
        (Command(["sleep", "9"], timeout="0.2s"), "took longer"),
        (Command(["echo", "{target.vars.nothing}"]), "no variable 'nothing'"),
        (Command(["printf", "\\033[31m"], equals="a"), "'\\x1b[31m'"),
    ],
)
def test_command_wrong(context: Context, check: Command, actual: str) -> None:
    result = check.run(context)
    assert not result.ok
    assert actual in result.actual


def test_command_titles_say_what_is_expected(context: Context) -> None:
    check = Command(["dpkg-query", "-W", "-f=${Version}", "shop"], equals="1.1-1")
    assert check.title(context.target) == "dpkg-query -W -f=${Version} shop: equals '1.1-1'"
    assert Command(["true"]).title(context.target) == "true: exit code 0"


@pytest.mark.parametrize("fields", [{"argv": []}, {}, {"argv": ["x"], "matches": "("}])
def test_command_nonsense_is_an_error(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Command.model_validate(fields)


def test_command_survives_the_plan() -> None:
    check = Command(["a", "b"], equals="c", within="10s", once=True)
    assert Command.model_validate(check.model_dump(mode="json")) == check


def test_file(context: Context, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("hello here")
    path.chmod(0o640)
    digest = sha256(b"hello here")
    for check in (
        FileIs(str(path)),
        FileIs(
            str(path), sha256=digest, mode="0640", owner="root", group="root", contains="hello {target.name}"
        ),
        FileIs(str(tmp_path / "none"), absent=True),
    ):
        assert check.run(context).ok, check.run(context)
    for check, actual in (
        (FileIs(str(path), sha256="0" * 64), f"sha256 {digest}"),
        (FileIs(str(path), mode="0600", owner="daemon"), "owner root, mode 0640"),
        (FileIs(str(path), contains="cheese"), "no 'cheese' in it"),
        (FileIs(str(path), absent=True), "a file"),
        (FileIs(str(tmp_path / "none")), "absent"),
        (FileIs(str(tmp_path)), "a directory"),
    ):
        result = check.run(context)
        assert (result.ok, result.actual) == (False, actual)


def test_file_nonsense_is_an_error() -> None:
    for fields in (
        {"path": "/x", "absent": True, "mode": "0644"},
        {"path": "x"},
        {"path": "/x", "mode": "644"},
    ):
        with pytest.raises(ValidationError):
            FileIs.model_validate(fields)


@pytest.mark.parametrize(
    ("fact", "check", "ok"),
    [
        ({"load": "loaded", "enabled": "enabled", "active": "active"}, ServiceIs("a"), True),
        ({"load": "loaded", "enabled": "enabled", "active": "failed"}, ServiceIs("a"), False),
        ({"load": "loaded", "enabled": "enabled", "active": "active"}, ServiceIs("a", active=False), False),
        (
            {"load": "loaded", "enabled": "disabled", "active": "inactive"},
            ServiceIs("a", active=False, enabled=False),
            True,
        ),
        ({"load": "loaded", "enabled": "disabled", "active": "active"}, ServiceIs("a", enabled=True), False),
        ({"load": "not-found", "enabled": "", "active": "inactive"}, ServiceIs("a", active=False), False),
    ],
)
def test_service(
    context: Context, monkeypatch: pytest.MonkeyPatch, fact: dict[str, str], check: ServiceIs, ok: bool
) -> None:
    monkeypatch.setattr("remediate.adapters.checks.service.look", lambda *_: fact)
    result = check.run(context)
    assert result.ok is ok
    assert result.actual
