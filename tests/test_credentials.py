"""Secrets: references are resolved with care, and no value comes out in any encoding."""

from __future__ import annotations

import base64
import gzip
import html
import json
import os
import re
import shlex
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from remediate.config import Config
from remediate.credentials import Credentials
from remediate.credentials.scrub import MARK, Scrubber
from remediate.errors import InputError
from remediate.model.step import Secrets

CANARY = "c4n@ry'\"&<é€>\\/+ %x"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


#: Bytes that don't get shorter, so that what is packed has lines.
_LONG: bytes = bytes(" ".join(str(n * n) for n in range(99)), "ascii")


def inside(value: str, before: bytes, after: bytes) -> bytes:
    return before + value.encode() + after


#: Ways that a value takes on its way into a log. The value is never at the border of the encoded text
#: unless the name says so.
ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": lambda v: v,
    "JSON": json.dumps,
    "JSON with letters as they are": lambda v: json.dumps(v, ensure_ascii=False),
    "JSON in JSON": lambda v: json.dumps(json.dumps(v)),
    "URL": quote,
    "URL, whole": lambda v: quote(v, safe=""),
    "URL, form": quote_plus,
    "URL in lower case": lambda v: "".join(
        c if c.isascii() and c.isalnum() else quote(c, safe="").lower() for c in v
    ),
    "URL, twice": lambda v: quote(quote(v, safe=""), safe=""),
    "shell": shlex.quote,
    "shell, double quotes": lambda v: '"' + "".join(f"\\{c}" if c in '"\\$`' else c for c in v) + '"',
    "HTML": html.escape,
    "HTML, numbers": lambda v: "".join(c if c.isascii() and c.isalnum() else f"&#x{ord(c):X};" for c in v),
    "hex": lambda v: v.encode().hex(),
    "HEX": lambda v: v.encode().hex().upper(),
    "hex with colons": lambda v: v.encode().hex(":"),
    "Base64": lambda v: b64(v.encode()),
    "Base64 after one byte": lambda v: b64(inside(v, b"x", b"yz")),
    "Base64 after two bytes": lambda v: b64(inside(v, b"xy", b"z")),
    "Base64 for URLs": lambda v: base64.urlsafe_b64encode(inside(v, b"u:", b"")).decode(),
    "Base64 in a URL": lambda v: quote(b64(v.encode()), safe=""),
    "Base64 in lines": lambda v: base64.encodebytes(inside(v, b"x" * 50, b"y" * 50)).decode(),
    "Python": repr,
    "Python bytes": lambda v: repr(v.encode()),
    "UTF-16 hex": lambda v: v.encode("utf-16").hex(),
    "UTF-16 Base64": lambda v: b64(v.encode("utf-16-le")),
    "UTF-16 Base64, big end first": lambda v: b64(b"x" + v.encode("utf-16-be")),
    "URL, every byte": lambda v: "".join(f"%{byte:02X}" for byte in v.encode()),
    "JSON, every character": lambda v: json.dumps("".join(_units(v))).replace("\\\\", "\\"),
    "JSON, every character, in JSON": lambda v: "".join(_units(v)).replace("\\", "\\\\"),
    "HTML, every character": lambda v: "".join(f"&#{ord(c)};" for c in v),
    "shell, every byte": lambda v: "$'" + "".join(f"\\x{byte:02x}" for byte in v.encode()) + "'",
    "shell, every byte in octal": lambda v: "$'" + "".join(f"\\{byte:03o}" for byte in v.encode()) + "'",
    "quoted-printable": lambda v: "".join(f"={byte:02X}" for byte in v.encode()),
    "YAML": lambda v: yaml.safe_dump(v, width=1000),
    "YAML, double quotes": lambda v: yaml.safe_dump(v, default_style='"', width=1000),
    "gzip in Base64": lambda v: b64(gzip.compress(inside(v, b"key: ", b"\n"), mtime=0)),
    "zlib in Base64": lambda v: b64(zlib.compress(inside(v, b"key: ", b"\n"))),
    "gzip in Base64 in lines": lambda v: base64.encodebytes(gzip.compress(v.encode() + _LONG)).decode(),
    "Base64 in Base64": lambda v: b64(b64(v.encode()).encode()),
    "gzip in Base64 in Base64": lambda v: b64(b64(gzip.compress(v.encode(), mtime=0)).encode()),
    "JSON in Base64": lambda v: b64(json.dumps({"password": v}).encode()),
}


def _units(value: str) -> list[str]:
    data = value.encode("utf-16-be").hex()
    return [f"\\u{data[i : i + 4]}" for i in range(0, len(data), 4)]


#: Printable text without surrogates; the values that people choose, and worse.
values = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), min_size=6, max_size=40
).filter(lambda v: len(v.strip()) >= 6 and MARK not in v)


def leaks(value: str, encode: Callable[[str], str], cleaned: str) -> bool:
    """Whether half of the encoded value, or more, is still there."""
    encoded = encode(value)
    half = max(4, len(encoded) // 2)
    pieces = {encoded[i : i + half] for i in range(len(encoded) - half + 1)}
    return any(piece in cleaned for piece in pieces)


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_canary_in_every_encoding(name: str) -> None:
    scrubber = Scrubber()
    scrubber.add(CANARY)
    for before, after in [("", ""), ("x", "y"), ('{"a": "', '"}'), ("\n", "\n"), ("c4n", "c4n")]:
        cleaned = scrubber.scrub(f"{before}{ENCODINGS[name](CANARY)}{after}")
        assert MARK in cleaned
        assert not leaks(CANARY, ENCODINGS[name], cleaned)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
@given(values, st.sampled_from(sorted(ENCODINGS)), st.text(max_size=20), st.text(max_size=20))
@example("\\\\\\\\\\\\a", "JSON", "", "")
@example("aaaaaa", "raw", "aa", "aaa")
@example("'''''''", "shell", "", "")
def test_any_value_in_every_encoding(value: str, name: str, before: str, after: str) -> None:
    assume(value not in before + after)
    scrubber = Scrubber()
    scrubber.add(value)
    encoded = ENCODINGS[name](value)
    # What is encoded twice is looked for where a block of letters begins, or up to three later.
    assume("in Base64" not in name or not re.search(r"[\w+/-]{4}$", before))
    cleaned = scrubber.scrub(f"{before}{encoded}{after}")
    assert MARK in cleaned
    assert encoded not in cleaned
    if name.startswith(("raw", "JSON", "URL", "HTML", "hex", "HEX", "Base64 in a")):
        assert len(cleaned) <= len(before) + len(after) + len(MARK) + 8


@settings(deadline=None, max_examples=12)
@given(st.lists(values, min_size=1, max_size=8, unique=True), st.text(max_size=50))
def test_many_values_one_after_the_other(secrets: list[str], between: str) -> None:
    scrubber = Scrubber()
    for number, value in enumerate(secrets):
        scrubber.add(value)
        text = between.join(secrets[: number + 1])
        assert not any(v in scrubber.scrub(text).replace(MARK, "\0") for v in secrets[: number + 1])


def test_one_value_may_begin_or_overlap_another() -> None:
    scrubber = Scrubber()
    for value in ("hunter", "hunter2024", "xxhunt", "2024yy"):
        scrubber.add(value)
        scrubber.scrub("compile what is known so far")
    assert scrubber.scrub("a hunter2024 b") == f"a {MARK} b"
    assert scrubber.scrub("a xxhunter2024yy b") == f"a {MARK} b"


def test_a_key_file_by_lines_and_in_pieces() -> None:
    lines = [b64(os.urandom(48)) for _ in range(40)]
    value = "\n".join(["-----BEGIN X-----", *lines, "-----END X-----"])
    scrubber = Scrubber()
    scrubber.add(value)
    for text in [
        "\n".join(f"    | {line}" for line in lines),
        base64.encodebytes(value.encode()).decode(),
        json.dumps(base64.encodebytes(b"head" + value.encode()).decode()),
        value.encode().hex(),
    ]:
        cleaned = scrubber.scrub(text)
        assert len(cleaned.replace(MARK, "").replace("    | ", "").replace("\n", "")) < len(text) // 20


def test_json_keeps_its_shape() -> None:
    scrubber = Scrubber()
    scrubber.add("12345678")
    scrubber.add("hunter2")
    value = {"a": ["hunter2", 12345678, 1, True, None, 1.5], "hunter2": {"b": "x hunter2"}}
    assert scrubber.scrub_json(value) == {  # type: ignore[arg-type]
        "a": [MARK, MARK, 1, True, None, 1.5],
        MARK: {"b": f"x {MARK}"},
    }


@pytest.mark.parametrize("value", ["", "abc", "   a   "])
def test_a_short_value_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="fewer than 4 characters"):
        Scrubber().add(value)


def test_a_long_value_is_refused() -> None:
    Scrubber().add("x" * 8192)
    with pytest.raises(InputError, match="more than 8192 bytes"):
        Scrubber().add("x" * 8193)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\nx", f"{MARK}\nx"),
        ("a -----BEGIN RSA PRIVATE KEY-----\nabc", f"a {MARK}"),
        ("Authorization: Basic YWxhZGRpbg==\r\nHost: x", f"Authorization: {MARK}\r\nHost: x"),
        ('curl -H "authorization: Bearer abc.def" http://x', f'curl -H "authorization: {MARK}" http://x'),
        ('{"Authorization": "token abc"}', f'{{"Authorization": "{MARK}"}}'),
        ("bearer abcdefgh1", f"bearer {MARK}"),
        ("PGPASSWORD=hunter2 psql", f"PGPASSWORD={MARK} psql"),
        ("DB_PASS='a b' x", f"DB_PASS='{MARK}' x"),
        ('password = "a \\" b" x', f'password = "{MARK}" x'),
        ('{\\"password\\": \\"abc\\", \\"k\\": 1}', f'{{\\"password\\": \\"{MARK}\\", \\"k\\": 1}}'),
        ("password: hunter2", f"password: {MARK}"),
        ("--token=abc&x=1", f"--token={MARK}&x=1"),
        ("postgresql://u:hunter2@db/x", f"postgresql://u:{MARK}@db/x"),
        ("enable secret 5 $1$abc$def", f"enable secret 5 {MARK}"),
        (" username x password 7 0822455D0A16", f" username x password 7 {MARK}"),
        ("snmp-server community public ro", f"snmp-server community {MARK} ro"),
        ("CREATE USER a IDENTIFIED BY 'x y';", f"CREATE USER a IDENTIFIED BY '{MARK}';"),
        ("ghp_" + "a" * 36, MARK),
        ("key AKIAIOSFODNN7EXAMPLE.", f"key {MARK}."),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-_", MARK),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret(text: str, cleaned: str) -> None:
    scrubber = Scrubber()
    assert scrubber.scrub(text) == cleaned
    assert scrubber.scrub(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    ["", "the password was changed", "no secrets here", "İ token of İ", "https://example.org:8443/a@b",
     "tokens: 17", "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----", "authorization failed"],
)  # fmt: skip
def test_what_does_not(text: str) -> None:
    assert Scrubber().scrub(text) == text


@settings(deadline=None)
@given(st.text(max_size=200))
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    scrubber = Scrubber()
    once = scrubber.scrub(text)
    assert scrubber.scrub(once) == once


@pytest.mark.parametrize(
    "text",
    ["password" * 200_000, "password=" * 100_000, "://a:" * 200_000, "-----BEGIN PRIVATE KEY-----" * 30_000,
     "eyJaaaaaaaa" * 100_000, "eyJ" + "a" * 1_000_000, "secret=\\" * 100_000, "token='" * 100_000,
     "bearer " * 100_000, "hunter2" * 100_000, "hunter" * 100_000, "\\" * 1_000_000, "%" * 1_000_000,
     "%25" * 300_000, "%41" * 300_000, "\\u0041" * 100_000, "&amp;" * 200_000, "&#0000000" * 100_000,
     "H4sI" * 200_000, "aHVudGVyMg" * 100_000, "QUFB" * 300_000,
     "eJw" * 300_000, b64(zlib.compress(bytes(1 << 20))) * 500],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_hostile_text_takes_time_in_proportion(text: str) -> None:
    scrubber = Scrubber()
    scrubber.add("hunter2")
    begin = time.process_time()
    scrubber.scrub(text)
    assert time.process_time() - begin < 20


def make(tmp_path: Path, **more: object) -> Credentials:
    return Credentials(Config.model_validate({"root": tmp_path, **more}))


def test_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    credentials = make(tmp_path)
    secrets: Secrets = credentials
    assert secrets.resolve("env:DB_PASSWORD") == "hunter2"
    monkeypatch.delenv("DB_PASSWORD")
    assert credentials.resolve("env:DB_PASSWORD") == "hunter2"  # one run, one value
    assert credentials.scrubber.scrub("it is hunter2") == f"it is {MARK}"
    with pytest.raises(InputError, match="env:OTHER: not set"):
        credentials.resolve("env:OTHER")


def test_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    file.chmod(0o600)
    assert make(tmp_path).resolve("file:secret") == "hunter2"
    assert make(tmp_path).resolve(f"file:{file}") == "hunter2"
    for mode in (0o640, 0o604, 0o660):
        file.chmod(mode)
        with pytest.raises(InputError, match="others may read it") as caught:
            make(tmp_path).resolve("file:secret")
        assert caught.value.advice == f"chmod 0600 {file}"


def test_files_that_hold_no_secret(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "long").write_bytes(b"x" * 9000)
    (tmp_path / "short").write_bytes(b"abc\n")
    for name in ("binary", "long", "short"):
        (tmp_path / name).chmod(0o600)
    for name, why in [
        ("none", "no secret can be read"),
        ("pipe", "not a file"),
        (".", "not a file|no secret can be read"),
        ("binary", "not UTF-8"),
        ("long", "more than 8192"),
        ("short", "fewer than 4"),
    ]:
        with pytest.raises(InputError, match=why) as caught:
            make(tmp_path).resolve(f"file:{name}")
        assert "abc" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2")
    file.chmod(0o600)
    os.chown(file, 12345, 12345)
    with pytest.raises(InputError, match="belongs to user 12345"):
        make(tmp_path).resolve("file:secret")


def test_from_a_command_of_the_project(tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = "open('count', 'a').write('x'); print('hunter2')"
    commands = {"good": ["python3", "-c", script], "bad": ["python3", "-c", "print('hunter2'); exit(3)"],
                "none": ["/no/such/program"]}  # fmt: skip
    credentials = make(tmp_path, credentials={"commands": commands})
    assert {credentials.resolve("command:good") for _ in range(3)} == {"hunter2"}
    assert count.read_text() == "x"
    for name, why in [("bad", "exit code 3"), ("none", "No such file"), ("other", "no such command")]:
        with pytest.raises(InputError, match=why) as caught:
            credentials.resolve(f"command:{name}")
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("reference", ["hunter2", "", "env:", ":x", "vault:x", "https://u:hunter2@x"])
def test_a_value_in_place_of_a_reference_is_not_told(tmp_path: Path, reference: str) -> None:
    with pytest.raises(InputError, match="names no known place") as caught:
        make(tmp_path).resolve(reference)
    assert "hunter2" not in str(caught.value)


def test_another_scheme(tmp_path: Path) -> None:
    config = Config.model_validate({"root": tmp_path})
    credentials = Credentials(config, sources={"vault": lambda rest: f"value of {rest}"})
    assert credentials.resolve("vault:db") == "value of db"
    assert credentials.scrubber.scrub("the value of db") == f"the {MARK}"
