"""Plan files that nobody planned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from remediate.errors import InputError, Refused, RemediateError
from remediate.model.base import canonical
from remediate.model.plan import parse_plan
from remediate.report.plan import plan_document
from remediate.report.render import Format, render
from tests.hostile import clear_refusal, concise, hostile
from tests.hostile.mutations import json_values, nested, spoiled, text_of
from tests.report.hostile import FORBIDDEN
from tests.report.samples import plan

PLAN = plan()
GOOD = json.loads(PLAN.data)


@hostile("plan files: changed bytes", 200, "refused, the file named; or another digest, which nobody signed")
@given(spoiled(PLAN.data))
@example(b"")
@example(b"\xef\xbb\xbf" + PLAN.data)
@example(PLAN.data.decode().encode("utf-16"))
@example(PLAN.data[:-1])
@example(PLAN.data + PLAN.data)
@example(nested(b"[", b"]"))
@example(nested(b'{"a":', b"}", b"1"))
@example(PLAN.data.replace(b'"author":', b'"author":"eve","author":', 1))
@example(PLAN.data.replace(b'"failure_budget":0', b'"failure_budget":' + b"9" * 100_000))
def test_changed_bytes(data: bytes) -> None:
    assume(data != PLAN.data)
    with clear_refusal():
        try:
            read = parse_plan(data, "fix.plan.json")
        except (InputError, Refused) as error:
            concise(error, "fix.plan.json: ")
        else:
            assert read.data == data
            assert read.digest != PLAN.digest


@hostile("plan files: changed values, signed form kept", 100, "refused, or shown escaped on every surface")
@given(json_values(GOOD), st.sampled_from(list(Format)))
def test_changed_values(value: object, surface: Format) -> None:
    """Whoever can write a plan can also write its canonical bytes; an approver must be able to look at it."""
    try:
        data = canonical(value) + b"\n"
    except ValueError:  # no JSON in any form
        data = text_of(value)
    with clear_refusal(InputError, Refused):
        try:
            read = parse_plan(data, "fix.plan.json")
        except RemediateError as error:
            concise(error, "fix.plan.json: ")
            raise
        assert not FORBIDDEN.search(render(plan_document(read), surface))


@hostile(
    "plan files: `remediate show` of any bytes",
    25,
    "shown escaped, or exit code 2 or 3 and one error; no traceback",
)
@given(st.one_of(st.binary(max_size=200), spoiled(PLAN.data)))
def test_shown_by_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], data: bytes) -> None:
    from remediate.cli.main import run

    assume(data != PLAN.data)
    (tmp_path / "remediate.toml").touch()
    file = tmp_path / "fix.plan.json"
    file.write_bytes(data)
    before = sorted(tmp_path.rglob("*"))
    code = run(["show", str(file)])
    said = capfd.readouterr()
    assert code in (0, 2, 3)
    assert code == 0 or said.err.startswith("error: ")
    assert "Traceback" not in said.err
    assert "internal error" not in said.err
    assert not FORBIDDEN.search(said.out + said.err)
    assert sorted(tmp_path.rglob("*")) == before
