"""This machine's distribution, and its own package sources, from which the lab's image is built."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from remediate.lab.command import LabError

OS_RELEASE = Path("/etc/os-release")
SOURCES = Path("/etc/apt")


@dataclass(frozen=True, slots=True)
class Distro:
    """A Debian or Ubuntu release."""

    name: str
    codename: str


def distro(os_release: Path = OS_RELEASE) -> Distro:
    """What this machine runs; raises on anything but Debian and Ubuntu."""
    values = {}
    if os_release.exists():
        for line in os_release.read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals:
                values[key] = "".join(shlex.split(value))
    if values.get("ID") not in ("debian", "ubuntu") or not values.get("VERSION_CODENAME"):
        what = values.get("PRETTY_NAME", "an unknown system")
        raise LabError(f"the lab runs on Debian and Ubuntu, this is {what}", "use a Debian 12 machine or VM")
    return Distro(values["ID"], values["VERSION_CODENAME"])


def sources(codename: str, folder: Path = SOURCES) -> dict[str, str]:
    """The machine's package sources for ``codename`` itself, as file contents by kind of file.

    Returns:
        content for a ``.list`` file and for a ``.sources`` file, where there is any. Sources of third
        parties are left out, as their suites bear other names, and so are ones that are switched off.
    """
    suites = {codename, f"{codename}-updates", f"{codename}-security"}
    parts = folder / "sources.list.d"
    lists = [folder / "sources.list", *sorted(parts.glob("*.list"))]
    lines = [line for file in lists if file.exists() for line in file.read_text().splitlines()]
    old = [line for line in lines if _one_line_suite(line) in suites]
    new = []
    for file in sorted(parts.glob("*.sources")):
        for stanza in _stanzas(file.read_text()):
            fields = _fields(stanza)
            wanted = suites.intersection(fields.get("suites", "").split())
            if wanted and "deb" in fields.get("types", "").split() and fields.get("enabled") != "no":
                new.append(stanza)
    found = {"list": "\n".join(old), "sources": "\n\n".join(new)}
    kept = {kind: text + "\n" for kind, text in found.items() if text}
    if not kept:
        raise LabError(f"no package source for {codename} in {folder}", "add one to /etc/apt/sources.list")
    return kept


def _one_line_suite(line: str) -> str:
    """The suite of a line ``deb [options] URI SUITE COMPONENT…``; empty for anything else."""
    kind, _, rest = line.strip().partition(" ")
    if kind != "deb":
        return ""
    rest = rest.strip()
    if rest.startswith("["):
        rest = rest.partition("]")[2]
    words = rest.split()
    return words[1] if len(words) > 1 else ""


def _stanzas(text: str) -> list[str]:
    """The paragraphs of a deb822 file, without comments."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    blocks = "\n".join("" if not line.strip() else line for line in lines).split("\n\n")
    return [block.strip("\n") for block in blocks if block.strip()]


def _fields(stanza: str) -> dict[str, str]:
    """The fields of a paragraph by their names in lower case; continuation lines are joined."""
    found: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[0].isspace() and name:
            found[name] += " " + line.strip()
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            found[name] = value.strip()
    return found
