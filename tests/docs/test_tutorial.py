"""The tutorial, command by command, over a lab of its own: exit codes and the output that it shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from remediate.lab.layout import MAIN
from remediate.lab.locks import locked
from tests.docs.blocks import DOCS, ROOT, Block, blocks
from tests.docs.private_lab import LAYOUT, components, here

PAGE = DOCS / "tutorial.md"
_PARTS = ("remediate.toml", "ansible.cfg", "runbooks", "playbooks", "inventories")
_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Typed:
    """One command as the page shows it, with the output that follows."""

    where: str
    line: str
    output: tuple[str, ...]


def typed(block: Block) -> Iterator[Typed]:
    """The commands of a block."""
    line, where, output = "", "", list[str]()
    for number, text in enumerate(block.text.splitlines(), block.line):
        if line.endswith("\\"):
            line = line[:-1] + text.strip()
        elif text.startswith("$ "):
            if line:
                yield Typed(where, line, tuple(output))
            line, where, output = text[2:], f"{PAGE.name}:{number}", []
        else:
            output.append(text)
    yield Typed(where, line, tuple(output))


def pattern(shown: str) -> str:
    """An expression for one line of output, whatever its numbers, ids and column widths are."""
    text = re.escape(" ".join(shown.split()))
    text = re.sub(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{8,64}\b", "[0-9a-f]{8,64}", text)
    text = re.sub(r"(?<![\[{,\w])\d+(?:\\\.\d+)?(?![\],}\w])", r"\\d+(?:\\.\\d+)?", text)
    return text.replace("…", ".*")


def missing(shown: tuple[str, ...], real: str) -> list[str]:
    """Shown lines that the real output doesn't have."""
    lines = [" ".join(line.split()) for line in real.splitlines()]
    wanted = [line for line in shown if line.strip("… ")]
    return [line for line in wanted if not any(re.fullmatch(pattern(line), one) for one in lines)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A copy of this project over the private lab, and a `remediate` that acts on that lab."""
    for name in _PARTS:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    for path in tmp_path.rglob("*"):
        if path.suffix in (".toml", ".yml", ".py"):
            path.write_text(here(path.read_text()))
    program = tmp_path / "bin/remediate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.docs.private_lab "$@"\n')
    program.chmod(0o755)
    lock = Path("/run") / f"{LAYOUT.home.name}.lock"
    with locked(lock, lambda _: None):
        _remove()
        try:
            yield tmp_path
        finally:
            _remove()


def _remove() -> None:
    for part in reversed(components()):
        part.down()
    shutil.rmtree(LAYOUT.home, ignore_errors=True)


@pytest.mark.lab
@pytest.mark.slow
def test_every_command_does_what_the_page_says(folder: Path) -> None:
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    LAYOUT.home.mkdir(parents=True)
    code, problems, transcript = 0, list[str](), list[str]()
    steps = [one for b in blocks(PAGE, "console") if "setup" not in b.words for one in typed(b)]
    for number, one in enumerate(steps):
        if one.line == "echo $?":
            assert one.output == (str(code),), f"{one.where}: the exit code was {code}"
            continue
        done = subprocess.run(
            ["bash", "-c", here(one.line)],
            cwd=folder,
            env={"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        code = done.returncode
        transcript.append(f"$ {one.line}\n{done.stdout}")
        real = done.stdout.replace(str(LAYOUT.home), str(MAIN.home))
        problems += [f"{one.where}: not in the output: {line}" for line in missing(one.output, real)]
        asked = steps[number + 1].line == "echo $?" if number + 1 < len(steps) else False
        assert asked or code == 0, f"{one.where}: {one.line}: exit code {code}\n{done.stdout}"
    assert not problems, "\n".join([*problems, "", *transcript])


def test_the_comparison_knows_numbers_from_words() -> None:
    shown = ("14:05:18 web1 · done in 12 s: 2 tasks, …", "r-facfea02   2026-11-22 14:05:05   x", "…", "")
    real = "09:00:01 web1 · done in 7.3 s: 2 tasks, 2 changed\nr-1234abcd 2027-01-02 01:02:03  x\n"
    assert missing(shown, real) == []
    assert missing(("14:05:18 web1 · failed after 12 s",), real) == ["14:05:18 web1 · failed after 12 s"]
