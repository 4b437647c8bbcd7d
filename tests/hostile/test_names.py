"""Names of files that were chosen to mislead people or programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remediate.adapters.backups import tree
from remediate.adapters.backups.tarball import Member, Walker, matching
from remediate.errors import InputError, StepFailed
from remediate.model.plan import RunbookRef
from remediate.planning.load import artefact as artefact_of
from remediate.report.plan import plan_document
from remediate.report.render import Format, render
from tests.hostile import clear_refusal, hostile
from tests.report.hostile import FORBIDDEN, SNIPPETS
from tests.report.samples import plan

NAMES = (
    *(
        b"-rf",
        b"--checkpoint-action=exec=sh",
        b"a\nb",
        b"a\rb",
        b"\x1b[2J",
        b"\xff\xfe",
        b"\xe2\x80\xaegnp.exe",
    ),
    *(b"x" * 255, "ü".encode() * 127, b" ", b"...", b"a b", b"*", b"?", b"$(id)", b"`id`", b"'", b'"', b"\\"),
    *(b"\xed\xa0\x80", "e\u0301".encode(), "é".encode(), b"\x7f", b"\x01", b"{{ x }}", b"<script>"),
)
names = st.one_of(st.sampled_from(NAMES), st.binary(min_size=1, max_size=30)).filter(
    lambda name: not {0, 47} & {*name} and name not in (b".", b"..")
)


@hostile("names of files in a backup", 30, "listed, archived, compared and restored byte by byte")
@given(st.lists(names, min_size=1, max_size=6, unique=True))
@example(list(NAMES))
def test_backups(tmp_path_factory: pytest.TempPathFactory, found: list[bytes]) -> None:
    root = tmp_path_factory.mktemp("names")
    source, into = root / "source", root / "into"
    into.mkdir()
    source.mkdir()
    for name in found:
        Path(os.fsdecode(os.fsencode(source) + b"/" + name)).write_bytes(name)
    words = tree.command(sys.executable, "list", str(source), "--")
    listing = subprocess.run(words, capture_output=True, check=True).stdout
    packing = "tar --format=posix --sort=name --numeric-owner -C / -cf - --".split()
    archive = subprocess.run([*packing, str(source)[1:]], capture_output=True, check=True).stdout
    seen: list[Member] = []
    kept = bytearray()
    walker = Walker(lambda path: path != str(source), kept.extend, seen.append)
    for piece in matching(iter([archive]), tree.entries(iter([listing]))):
        walker.write(piece)
    walker.finish()
    assert [os.fsencode(member.path).rpartition(b"/")[2] for member in seen[1:]] == sorted(found)
    subprocess.run(["tar", "-xf", "-", "-C", str(into)], input=bytes(kept), check=True)
    restored = os.fsencode(into) + os.fsencode(source)
    assert {
        name: Path(os.fsdecode(restored + b"/" + name)).read_bytes()
        for name in os.listdir(restored)  # noqa: PTH208 - pathlib knows no bytes
    } == {name: name for name in found}


@hostile("names of files on a plan", 60, "shown escaped on every surface, or refused")
@given(names, st.sampled_from(list(Format)))
def test_surfaces(tmp_path: Path, name: bytes, surface: Format) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(name)
    with clear_refusal(InputError):
        artefact = artefact_of(path, tmp_path)
        shown = render(
            plan_document(plan(artefacts=(artefact,), runbook=RunbookRef(name="r", source=artefact))), surface
        )
        assert not FORBIDDEN.search(shown)
        assert "<script>" not in shown or surface is not Format.HTML


def test_a_listing_keeps_names_apart_that_look_the_same() -> None:
    one, other = (
        {"path": f"/srv/{name}", "kind": "dir", "xattrs": {}, "mode": 1} for name in ("é", "e\u0301")
    )
    lines = b"".join(json.dumps(entry).encode() + b"\n" for entry in (one, other))
    assert len(list(tree.entries(iter([lines])))) == 2
    assert len(list(tree.changes([one], [other]))) == 2


@pytest.mark.parametrize("snippet", [text for text in SNIPPETS if text != "\ud800"])
def test_no_member_is_passed_on_that_nobody_wants(tmp_path: Path, snippet: str) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar, clear_refusal(StepFailed):
        tar.addfile(tarfile.TarInfo(f"srv/{snippet}"))
    came = bytearray()
    walker = Walker(lambda wanted: wanted == "/srv/a", came.extend, lambda _: None)
    with clear_refusal(StepFailed):
        walker.write(path.read_bytes())
        walker.finish()
    assert not came.strip(b"\0")
