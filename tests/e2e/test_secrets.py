"""A secret is used on the host, and stands nowhere else: no file, no argument, no environment, no output."""

from __future__ import annotations

import base64
import gzip
import html
import json
import shlex
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from tests.e2e.ticket import complete
from tests.e2e.world import World
from tests.reliability import record

pytestmark = [pytest.mark.lab, pytest.mark.slow]

#: Long, and with characters that escapes change.
CANARY = 'c4nary"<&>\\ünd/so+weiter%1'
_DATA = CANARY.encode()
_UNITS = CANARY.encode("utf-16-be").hex()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _aligned(data: bytes) -> list[str]:
    """Base64 of it behind any number of other bytes, without what it shares with its neighbours."""
    return [_b64(bytes(n) + data)[(0, 2, 3)[n] : -4] for n in range(3)]


#: What the playbook prints (and what else tools make of it), by encoding.
_FORMS: dict[str, list[str]] = {
    "plain": [CANARY, "c4nary", "und/so+weiter"[1:]],
    "Base64, three alignments": _aligned(_DATA),
    "Base64 for URLs": [base64.urlsafe_b64encode(b"k=" + _DATA).decode()[3:-4]],
    "Base64 of UTF-16": [_b64(CANARY.encode("utf-16-le"))[:-4]],
    "hexadecimal": [_DATA.hex(), _DATA.hex(":"), _DATA.hex(" ").upper()],
    "percent": [quote(CANARY, safe=""), "".join(f"%{byte:02X}" for byte in _DATA)],
    "JSON": [
        json.dumps(CANARY)[1:-1],
        json.dumps(CANARY, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(CANARY))[3:-3],
        "".join(f"\\u{_UNITS[i : i + 4]}" for i in range(0, len(_UNITS), 4)),
    ],
    "HTML": [
        html.escape(CANARY),
        html.escape(CANARY).replace("&quot;", "&#34;"),
        "".join(f"&#{ord(char)};" for char in CANARY),
    ],
    "shell": [
        shlex.quote(CANARY),
        "".join(f"\\x{byte:02x}" for byte in _DATA),
        "".join(f"\\{byte:03o}" for byte in _DATA),
        repr(CANARY)[1:-1],
    ],
    "YAML": [yaml.safe_dump(CANARY, width=999).splitlines()[0], "'" + CANARY.replace("'", "''") + "'"],
    "gzip and zlib in Base64": [_b64(gzip.compress(b"k: " + _DATA))[14:-12], _b64(zlib.compress(_DATA))[:-8]],
    "Base64 in Base64": [_b64(_b64(_DATA).encode())[:-4]],
}
_SEARCHED = (
    "plan, journal, ticket with attachments, terminal, reports (text, HTML, Markdown, JSON), run folder, "
    "bundle of `diagnose`, temporary files, arguments and environments of processes"
)


def betrayed(data: bytes) -> list[str]:
    """Forms of the secret that stand in these bytes."""
    return [form for forms in _FORMS.values() for form in forms if _stands(form, data)]


def _stands(form: str, data: bytes) -> bool:
    # What is written as JSON has its backslashes and quotes escaped once more.
    return form.encode() in data or json.dumps(form)[1:-1].encode() in data


def test_each_form_would_be_seen() -> None:
    """A search that finds nothing proves nothing unless it finds what is there."""
    for forms in _FORMS.values():
        for form in forms:
            assert betrayed(f"x {form} y".encode())
            assert betrayed(json.dumps({"a": form}, ensure_ascii=False).encode())


def files(folders: Iterable[Path]) -> dict[str, list[str]]:
    """Files below, their names included, in which it stands."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            if forms := betrayed(str(path).encode() + data):
                found[str(path)] = forms
    return found


@contextmanager
def watching_processes(own: set[int]) -> Iterator[dict[str, list[str]]]:
    """Looks at every process of this machine, again and again: arguments of all, environments of those that
    the program started.
    """
    found: dict[str, list[str]] = {}
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for folder in Path("/proc").iterdir():
                if folder.name.isdigit():
                    _look(folder, own, found)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _look(folder: Path, own: set[int], found: dict[str, list[str]]) -> None:
    try:
        words = (folder / "cmdline").read_bytes()
        variables = (folder / "environ").read_bytes()
    except OSError:
        return
    shown = words.replace(b"\0", b" ").decode(errors="replace")[:200]
    if forms := betrayed(words):
        found[f"arguments of {folder.name}: {shown}"] = forms
    # The program itself gets it by its environment: that is where its user put it.
    if b"REMEDIATE_TOKEN=" in variables and (forms := betrayed(variables)):
        found[f"environment of {folder.name}: {shown}"] = forms
        own.add(int(folder.name))


@pytest.mark.parametrize("fail", [False, True])
def test_secret_stands_nowhere(world: World, fail: bool) -> None:
    """Also when a task writes it to a file, prints it, and fails with it."""
    world.env["E2E_TOKEN"] = CANARY
    with watching_processes(set()) as processes:
        plan = world.approved("use-secret", f"fail={str(fail).lower()}", "--limit", "web1")
        done = world.cli("run", plan)
        assert done.code == (4 if fail else 0), done.said
        # What it printed was shown, but for the secret.
        assert ("[redacted] is not accepted" in done.said) is fail
        shown = [done, world.cli("show", plan), world.cli("show", plan, "--format", "html")]
        shown += [world.cli(*args, "last", *more) for args in (("log",), ("report",), ("status",), ("watch",))
                  for more in ((), ("--output", "json"), ("--debug",))]  # fmt: skip
        shown += [world.cli("report", "last", "--format", form) for form in ("html", "markdown", "json")]
        shown += [world.cli("diagnose", "web1", "--ticket", "T-1")]
        if not fail:
            assert CANARY in (world.disk("web1") / "etc/e2e-secret").read_text()
            shown.append(world.cli("rollback", "last"))
    assert not (world.disk("web1") / "etc/e2e-secret").exists()
    assert processes == {}
    for command in shown:
        assert betrayed(command.said.encode()) == [], command.argv
    assert files([world.root, world.temp]) == {}
    complete(world)
    for encoding in _FORMS:
        record("canaries", encoding, _SEARCHED, "nowhere")


@pytest.mark.parametrize(("verb", "step"), [("apply", "s01-playbook"), ("undo", "b01-host-backup")])
def test_killed_run_leaves_no_secret_behind(world: World, verb: str, step: str) -> None:
    """Private folders of Ansible are on the disk when it dies; whoever goes on removes them."""
    world.env["E2E_TOKEN"] = CANARY
    plan = world.approved("use-secret", "fail=true", "--limit", "web1")
    running = world.start("run", plan)
    world.wait_for("intent", verb=verb, step=step)
    running.kill_all()
    assert files([world.root]) == {}, "not even while nobody looks after it"
    world.cli("run", plan).expect(4)
    assert files([world.root, world.temp]) == {}


@pytest.mark.parametrize(
    ("env", "words"),
    [({}, ("env:E2E_TOKEN", "not set")), ({"E2E_TOKEN": "x"}, ("env:E2E_TOKEN",))],
    ids=["missing", "too short to be hidden"],
)
def test_secret_that_can_not_be_used(world: World, env: dict[str, str], words: tuple[str, ...]) -> None:
    world.env["E2E_TOKEN"] = CANARY
    plan = world.approved("use-secret", "--limit", "web1")
    del world.env["E2E_TOKEN"]
    done = world.cli("run", plan, env=env)
    assert done.code in (2, 3, 4), done.said
    for word in words:
        assert word in done.said
    assert not (world.disk("web1") / "etc/e2e-secret").exists()
