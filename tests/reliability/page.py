"""docs/reliability.md: its sections, and how rows become a page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_HEAD = """# Reliability: what was tried, and what held

This page is made by the tests themselves: each row was written by a test that passed, and the gate fails if
the page differs from what its tests wrote. The promises (V1 to V15, L1) are told in
[invariants](invariants.md).
"""


@dataclass(frozen=True)
class Section:
    """What stands over a table."""

    title: str
    text: str
    columns: tuple[str, ...]


#: In the order of the page.
SECTIONS: dict[str, Section] = {
    "explored": Section(
        "Explored without a machine",
        "The shipped engine over simulated targets, clock, disk and ticket; each run is judged by the"
        " checker. Small plans: every fault, with a death at every point; in the gate every third of these"
        " runs. Seeds: larger plans with several troubles at once. `REMEDIATE_THOROUGH=1 pytest"
        " tests/engine` takes all runs and a million seeds; `python -m tests.engine.cases 0 1000000` lives a"
        " million on all cores.",
        ("what", "runs", "reached", "violations"),
    ),
    "crashes": Section(
        "Crash points of the real program",
        "The program on the lab, killed or stopped, started again, and judged. `REMEDIATE_FULL=1 pytest -m"
        " lab tests/e2e` takes every point.",
        ("what is killed", "where", "ends"),
    ),
    "matrix": Section(
        "Fault matrix",
        "Faults made on real adapters (where a device can only be simulated, the technology says so): before"
        " the effect, during it, after it but before its reply, and an effect that comes when nobody waits"
        " for it any more. The last column was seen; *probed* is what the step itself found out, and it was"
        " compared with the target.",
        ("technology", "moment", "fault", "outcome"),
    ),
    "proofs": Section(
        "Rollbacks proved",
        "`remediate test` broke each step of these runbooks and compared the whole target with what it was."
        " Those that are wrong on purpose have to be caught.",
        ("runbook", "steps broken", "result"),
    ),
    "mutations": Section(
        "Guards removed",
        "Each guard was taken out of a copy of the source, and the test named here failed.",
        ("promise", "guard", "caught by"),
    ),
    "hostile": Section(
        "Hostile input",
        "Property and fuzz tests: no input of these kinds ended in anything but a clear refusal.",
        ("input", "examples", "promise"),
    ),
    "canaries": Section(
        "Secrets",
        "Secrets planted in a run, in each of these encodings, looked for in every artefact.",
        ("encoding", "artefacts searched", "found in"),
    ),
    "golden": Section(
        "Golden journals",
        "Journals of released versions, replayed by this one.",
        ("journal", "events", "ends"),
    ),
}


def rows(folder: Path) -> dict[str, list[list[str]]]:
    """What the tests wrote, by section.

    Raises:
        ValueError: a row doesn't fit its section.
    """
    found: dict[str, list[list[str]]] = {}
    for path in folder.glob("*/*.json"):
        name, row = path.parent.name, json.loads(path.read_text())
        if name not in SECTIONS or len(row) != len(SECTIONS[name].columns):
            raise ValueError(f"a row of {name!r} that fits no section of the page: {row}")
        found.setdefault(name, []).append(row)
    return {name: sorted(of, key=_order) for name, of in found.items()}


def render(found: Mapping[str, Sequence[Sequence[str]]], old: str = "") -> str:
    """The page; a section without rows stays as it stands in ``old``."""
    known = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", old, re.MULTILINE | re.DOTALL))
    parts = [_HEAD]
    for name, section in SECTIONS.items():
        if of := found.get(name):
            parts.append(f"## {section.title}\n\n{section.text}\n\n{_table(section.columns, of)}\n")
        elif section.title in known:
            parts.append(f"## {section.title}\n{known[section.title].rstrip()}\n")
    return "\n".join(parts)


def _table(columns: Sequence[str], of: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *of]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([f"Rows: {len(of):,}.", "", *table])


def _order(row: list[str]) -> list[tuple[str, int, str]]:
    """As a reader sorts: V2 before V10."""
    parts = (re.match(r"(\D*)(\d+)", cell.replace(",", "")) for cell in row)
    return [(m[1], int(m[2]), cell) if m else (cell, 0, cell) for m, cell in zip(parts, row, strict=True)]
