"""Facts about files, packages and services, many in one go."""

import os
import re
import time
from contextlib import suppress

from . import look
from .commands import run_captured
from .wire import Refusal

MYPY = False
if MYPY:
    from collections.abc import Iterable
    from typing import Any

PACKAGE = re.compile(r"^[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?$")
_UNIT = re.compile(r"^[A-Za-z0-9:_.@\\-]+$")
VERSION = re.compile(r"^[A-Za-z0-9.+~:-]+$")
_MARKS = "/var/lib/apt/extended_states"
_CONFFILE = re.compile(r"^ (/.*?) (?:[0-9a-f]{32}|newconffile)(?: [a-z-]+)*$")
#: As in ``Inst shop [1.0-1] (1.1-1 remediate-lab:localhost [all])`` of ``apt-get --simulate``.
_ACTION = re.compile(r"^(Inst|Remv) (\S+) (?:\[([^\]]*)\] ?)?(?:\((\S+) .*\[(\S+)\]\))?")
_PASSING = ("activating", "deactivating", "reloading", "refreshing", "maintenance")
_SETTLE_SECONDS = 3.0
#: Answers of tools that are read by us, not shown: a cut one would be wrong.
_WHOLE = 8 << 20
_simulated: "dict[tuple[object, ...], list[dict[str, str]]]" = {}


def _run(argv: "list[str]", fine: "tuple[int, ...]" = (0,)) -> str:
    answer = run_captured(argv, {}, 120.0, keep=_WHOLE)
    if answer["rc"] not in fine:
        raise Refusal(f"{argv[0]} failed (exit code {answer['rc']}): {answer['stderr'].strip()}")
    return str(answer["stdout"])


def checked(names: "Iterable[str]", pattern: "re.Pattern[str]", what: str) -> "list[str]":
    """Names that can't be taken for an option or a pattern."""
    listed = list(names)
    for name in listed:
        if not pattern.match(name):
            raise Refusal(f"not a {what}: {name!r}")
    return listed


def files(paths: "Iterable[str]") -> "dict[str, Any]":
    """One fact per path."""
    return {path: look.summary(look.look(path)) for path in paths}


def packages(names: "Iterable[str]") -> "dict[str, Any]":
    """Version, dpkg's status and apt's mark of each package; and its configuration files' names."""
    wanted = checked(names, PACKAGE, "package name")
    if not wanted:
        return {}
    form = "\x1f".join(["${binary:Package}", "${Package}", "${Version}", "${Status}", "${Conffiles}\x1e"])
    text = _run(["dpkg-query", "--show", "--showformat", form, "--", *wanted], (0, 1))
    found: dict[str, dict[str, Any]] = {}
    automatic = _automatic()
    for stanza in text.split("\x1e"):
        if stanza.count("\x1f") == 4:
            binary, name, version, status, conffiles = stanza.split("\x1f")
            fact = {"version": version, "status": status, "auto": name in automatic}
            entry = {"fact": fact, "conffiles": _conffiles(conffiles), "there": status.endswith(" installed")}
            for key in {name, binary}.intersection(wanted):
                # The same package may be known for several architectures.
                if not status.endswith(" not-installed") and not found.get(key, {}).get("there"):
                    found[key] = entry
    absent: dict[str, Any] = {"fact": {"status": "absent"}, "conffiles": []}
    return {name: found.get(name, absent) for name in wanted}


def _conffiles(text: str) -> "list[str]":
    """Paths out of dpkg's ``Conffiles`` field: each with a hash and maybe flags behind it."""
    return [match.group(1) for match in map(_CONFFILE.match, text.splitlines()) if match]


def _automatic() -> "set[str]":
    """Packages that apt installed only because others need them."""
    with suppress(OSError), open(_MARKS, encoding="utf-8") as file:
        stanzas = file.read().split("\n\n")
        marked = [dict(_fields(stanza)) for stanza in stanzas]
        return {stanza["Package"] for stanza in marked if stanza.get("Auto-Installed") == "1"}
    return set()


def _fields(stanza: str) -> "list[tuple[str, str]]":
    pairs = [line.partition(": ") for line in stanza.strip().splitlines()]
    return [(key, value) for key, _, value in pairs]


def services(names: "Iterable[str]") -> "dict[str, Any]":
    """How each unit is loaded, enabled and active; no process numbers, no times.

    One that is just changing is waited for a little: facts are compared, and a moment is no state.
    """
    wanted = checked(names, _UNIT, "unit name")
    if not wanted:
        return {}
    deadline = time.monotonic() + _SETTLE_SECONDS
    facts = _show(wanted)
    while any(fact["active"] in _PASSING for fact in facts.values()) and time.monotonic() < deadline:
        time.sleep(0.05)
        facts = _show(wanted)
    return facts


def _show(wanted: "list[str]") -> "dict[str, Any]":
    properties = "--property=LoadState,UnitFileState,ActiveState"
    text = _run(["systemctl", "show", "--no-pager", properties, "--", *wanted])
    facts = {}
    for name, stanza in zip(wanted, text.strip("\n").split("\n\n")):
        shown = dict(line.partition("=")[::2] for line in stanza.splitlines())
        facts[name] = {
            "load": shown.get("LoadState", ""),
            "enabled": shown.get("UnitFileState", ""),
            "active": shown.get("ActiveState", ""),
        }
    return facts


def simulate(wanted: "dict[str, str]", options: "list[str]") -> "list[dict[str, str]]":
    """What apt would do to bring these packages to these versions: name, action, old and new version.

    The answer is kept for as long as neither the installed packages nor the known ones change.
    """
    checked(wanted, PACKAGE, "package name")
    checked(wanted.values(), VERSION, "version")
    goals = sorted(f"{name}={version}" for name, version in wanted.items())
    key = (tuple(goals), tuple(options), _changed("/var/lib/dpkg/status"), _changed("/var/lib/apt/lists"))
    if key not in _simulated:
        text = _run(["apt-get", "--simulate", "--quiet=2", *options, "install", "--", *goals])
        _simulated[key] = [_action(match) for match in map(_ACTION.match, text.splitlines()) if match]
    return _simulated[key]


def _action(match: "re.Match[str]") -> "dict[str, str]":
    verb, name, old, new, arch = match.groups()
    return {"verb": verb, "name": name, "old": old or "", "new": new or "", "arch": arch or ""}


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
