"""Settings: found, typed, explained when wrong, and one alias to one person."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from remediate.config import ENVIRONMENT, Config, find_project, load_config
from remediate.config.sections import Rule
from remediate.errors import InputError
from remediate.model.base import Duration
from remediate.model.wording import wrong

PEOPLE = """
[people.ann]
principals = ["ann@example.org"]
logins = ["ann", "Ann.Smith@Example.org"]
roles = ["change-manager"]

[people.bob]
logins = ["bob"]
"""


def write(folder: Path, text: str) -> Path:
    (folder / "remediate.toml").write_text(text)
    return folder


def load(folder: Path, text: str, **environ: str) -> Config:
    return load_config(write(folder, text), environ)


def test_an_empty_file_gives_sensible_settings(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert config.inventory == tmp_path / "inventory"
    assert config.runbooks == tmp_path / "runbooks"
    assert config.journal_path == tmp_path / ".remediate" / "journal.db"
    assert config.known_hosts is None
    assert str(config.timezone) == "UTC"
    assert config.project.plan_expiry == 7 * 86400
    policy = config.approval.policy
    assert [policy.low.approvers, policy.medium.approvers] == [1, 1]
    assert [policy.high.approvers, policy.irreversible.approvers] == [2, 2]
    assert policy.low.role == "change-manager"
    assert config.ticket.settings == {}


def test_all_sections(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        PEOPLE
        + """
[project]
name = "shop"
state = "/var/lib/remediate"
plan_expiry = "12h"
[ssh]
known_hosts = "~/hosts"
[approval]
allowed_signers = "people/allowed_signers"
expiry = 3600
policy.high = {approvers = 3, role = "board"}
[calendar]
freezes = ["a.ics", "b.ics"]
timezone = "Europe/Berlin"
[ticket]
system = "rt"
rt = {url = "https://rt.example.org", token = "env:RT_TOKEN"}
[journal]
path = "journal.sqlite"
[limits]
parallel = 7
[credentials.commands]
vault = ["pass", "show", "vault"]
""",
    )
    assert config.state == Path("/var/lib/remediate")
    assert config.known_hosts == Path.home() / "hosts"
    assert config.approval.policy.high.role == "board"
    assert config.ticket.settings == {"url": "https://rt.example.org", "token": "env:RT_TOKEN"}
    assert config.journal_path == tmp_path / "journal.sqlite"
    assert config.credentials.commands == {"vault": ("pass", "show", "vault")}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            '[project]\ninventry = "x"\n',
            2,
            "project.inventry: unknown key 'inventry' (did you mean 'inventory'?)",
        ),
        ("[limit]\nparallel = 1\n", 1, "limit: unknown key 'limit' (did you mean 'limits'?)"),
        ("[people.ann]\n\nrole = ['x']\n", 3, "people.ann.role: unknown key 'role' (did you mean 'roles'?)"),
        ("[approval.policy.hihg]\n", 1, "unknown key 'hihg' (did you mean 'high'?)"),
        (
            "[approval.policy.high]\napprovers = 0\n",
            2,
            "approval.policy.high.approvers: expected at least 1, given 0",
        ),
        ("[approval.policy]\nhigh = {aprovers = 2}\n", 2, "(did you mean 'approvers'?)"),
        (
            "[limits]\n# many\nparallel = 'many'\n",
            3,
            "limits.parallel: expected a whole number, given 'many'",
        ),
        ("[project]\nplan_expiry = 'soon'\n", 2, "project.plan_expiry: not a duration: 'soon'"),
        ("[calendar]\ntimezone = 'Europe/Berlln'\n", 2, "'Europe/Berlln' is not a known time zone"),
        ("[calendar]\ntimezone = '../etc/passwd'\n", 2, "is not a"),
        (
            "[people.ann]\nlogins = ['ok', '  ']\n",
            2,
            "people.ann.logins.1: expected text of at least 1 character",
        ),
        ("zzz = 1\n", 1, "unknown key 'zzz' (known here: approval, audit, backups, calendar"),
        ("root = '/'\n", 1, "root: unknown key 'root'"),
        ("[ticket]\nsystem = 1\n", 2, "ticket.system"),
        ("[ticket]\nrt = 'url'\n", 2, "ticket.rt: expected a table of keys and values, given 'url'"),
    ],
)
def test_an_error_names_file_line_and_field(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    assert caught.value.problem.startswith(f"{tmp_path}/remediate.toml:{line}: ")
    assert message in caught.value.problem
    assert caught.value.advice


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, "[project]\nnme = 1\n[limits]\nparalel = 2\n")
    assert [line.split(": ")[1] for line in caught.value.problem.splitlines()] == [
        "project.nme",
        "limits.paralel",
    ]


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"remediate\.toml: not TOML: .*line 2"):
        load(tmp_path, "[project]\nname = \n")


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        load_config(tmp_path)
    (tmp_path / "remediate.toml").write_bytes(b"\xff")
    with pytest.raises(InputError, match="not UTF-8 at byte 0"):
        load_config(tmp_path)


def test_the_project_is_found_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    with pytest.raises(InputError, match=r"no remediate\.toml here or in any folder above"):
        find_project(deep, {})
    write(tmp_path, "")
    assert find_project(deep, {}) == tmp_path
    monkeypatch.chdir(deep)
    assert find_project(environ={}) == tmp_path
    write(tmp_path / "a", "")
    assert find_project(environ={}) == tmp_path / "a"
    assert find_project(environ={"REMEDIATE_PROJECT": str(tmp_path)}) == tmp_path
    assert find_project(deep, {"REMEDIATE_PROJECT": str(tmp_path)}) == tmp_path / "a"


VALUES = {
    "plan_expiry": "1h",
    "timezone": "Europe/Berlin",
    "parallel": "9",
    "connect_timeout": "9s",
    "step_timeout": "9m",
}


@pytest.mark.parametrize("name", sorted(ENVIRONMENT))
def test_every_documented_variable_overrides_its_setting(tmp_path: Path, name: str) -> None:
    section, key = ENVIRONMENT[name]
    plain, changed = load(tmp_path, ""), load(tmp_path, "", **{name: VALUES.get(key, "elsewhere")})
    assert getattr(getattr(plain, section), key) != getattr(getattr(changed, section), key)


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^REMEDIATE_LIMITS_PARALLEL: expected a whole number, given 'many'"
    ):
        load(tmp_path, "", REMEDIATE_LIMITS_PARALLEL="many")


@pytest.mark.parametrize("name", ["REMEDIATE_APPROVAL_EXPIRY", "REMEDIATE_PEOPLE_ANN_ROLES"])
def test_who_may_approve_is_not_for_the_environment(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="can't be set by the environment"):
        load(tmp_path, "", **{name: "x"})


def test_other_variables_are_no_concern(tmp_path: Path) -> None:
    assert load(tmp_path, "", REMEDIATE_OUTPUT="json", REMEDIATE_PLAN_WINDOW="x").project.name == ""


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("ann", "ann"),
        ("ANN", "ann"),
        (" ann@example.org ", "ann"),
        ("ann.smith@example.org", "ann"),
        ("Ann Smith <ann.SMITH@example.org>", "ann"),
        ("\uff41\uff4e\uff4e", "ann"),  # full-width letters look the same in many fonts
        ("bob", "bob"),
    ],
)
def test_a_person_under_any_alias(tmp_path: Path, alias: str, name: str) -> None:
    config = load(tmp_path, PEOPLE)
    assert config.person(alias) == config.find_person(alias) == name


def test_a_stranger_stands_for_themselves(tmp_path: Path) -> None:
    config = load(tmp_path, PEOPLE)
    assert config.find_person("Eve@Example.net") is None
    assert config.person("Eve@Example.net") == config.person("Eve <eve@example.net>") == "eve@example.net"


@pytest.mark.parametrize(
    "more",
    [
        'principals = ["ANN@example.org"]',
        'logins = ["ann"]',
        'logins = ["ann.smith@EXAMPLE.org "]',
        'principals = ["ann"]',
    ],
)
def test_two_people_may_not_share_an_alias(tmp_path: Path, more: str) -> None:
    with pytest.raises(InputError, match=r"belongs to both 'ann' and 'carl'"):
        load(tmp_path, f"{PEOPLE}\n[people.carl]\n{more}\n")


def test_two_spellings_of_one_name_are_two_people_with_one_alias(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="belongs to both"):
        load(tmp_path, f"{PEOPLE}\n[people.ANN]\n")


@given(st.text(max_size=40))
def test_any_text_is_an_alias_of_at_most_one_person(alias: str) -> None:
    config = Config.model_validate(
        {"root": Path("/"), "people": {"ann": {"logins": ["a"]}, "bob": {"logins": ["b"]}}}
    )
    assert config.find_person(alias) in (None, "ann", "bob")
    assert config.person(config.person(alias)) == config.person(alias)


class Sample(BaseModel):
    """One field for each kind of mistake."""

    model_config = {"extra": "forbid"}

    whole: int = 0
    number: float = 0
    yes: bool = False
    word: str = ""
    few: Annotated[int, Field(ge=1, le=3)] = 1
    short: Annotated[str, Field(max_length=2)] = ""
    digits: Annotated[str, Field(pattern=r"^\d+$")] = "1"
    one_of: Literal["a", "b"] = "a"
    path: Path = Path()
    many: tuple[str, ...] = ()
    pairs: dict[str, int] = {}
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    lasts: Duration = 0.0
    inner: Rule = Rule()
    needed: int


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"whole": "x"}, "whole: expected a whole number, given 'x'"),
        ({"whole": 1.5}, "whole: expected a whole number, given 1.5"),
        ({"whole": []}, "whole: expected a whole number"),
        ({"number": "x"}, "number: expected a number, given 'x'"),
        ({"yes": "maybe"}, "yes: expected a boolean (true or false), given 'maybe'"),
        ({"word": 3}, "word: expected text, given 3"),
        ({"few": 9}, "few: expected at most 3, given 9"),
        ({"short": "long"}, "short: expected text of at most 2 characters, given 'long'"),
        ({"digits": "x"}, "digits: expected text like ^\\d+$, given 'x'"),
        ({"one_of": "c"}, "one_of: expected 'a' or 'b', given 'c'"),
        ({"path": 3}, "path: expected a path, given 3"),
        ({"many": "x"}, "many: expected a list, given 'x'"),
        ({"pairs": "x"}, "pairs: expected a table of keys and values, given 'x'"),
        ({"pairs": {"k": "x"}}, "pairs.k: expected a whole number, given 'x'"),
        ({"at": "x"}, "at: expected a date with time, given 'x'"),
        ({"lasts": "x"}, "lasts: not a duration: 'x' (write 30s, 5m, 2h or 1d)"),
        ({"inner": {"approvers": 0}}, "inner.approvers: expected at least 1, given 0"),
        ({"strange": 1}, "strange: is not known here"),
        ({"word": 3, "yes": "x" * 200}, "…"),
    ],
)
def test_what_is_wrong_is_said_in_our_words(values: dict[str, object], text: str) -> None:
    """Field, what is expected, what was given; nothing of the library that noticed it."""
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"needed": 1} | values)
    said = wrong(caught.value)
    assert text in said
    for foreign in ("Value error", "Input should", "pydantic", "http", "Assertion failed"):
        assert foreign not in said
    assert len(said) < 300


def test_a_field_that_is_missing_is_named_without_what_lies_around_it() -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"word": "secret"})
    assert wrong(caught.value) == "Sample.needed: is missing"
