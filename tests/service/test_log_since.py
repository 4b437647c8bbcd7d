"""Whole runs whose step writes to a log: only what came since the run's mark counts, also at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediate.errors import Exit
from tests.service.world import World

STEPS = """        log = inputs.path + ".log"
        yield LogMark([log], estimate=QUICK)
        yield RunCommand(
            argv=["sh", "-c", 'echo new > "$0"; echo a new line >> "$0.log"', inputs.path],
            touches=[inputs.path],
            estimate=QUICK,
            verify=[LogPattern("PATTERN", path=log)],
        )
"""


@pytest.mark.parametrize(("pattern", "code"), [("ERROR", Exit.VERIFIED_NEW), ("new", Exit.ROLLED_BACK)])
def test_lines_of_before_do_not_count(world: World, pattern: str, code: Exit) -> None:
    Path(f"{world.file}.log").write_text("ERROR long ago\n")
    runbook = world.root / "runbooks" / "write.py"
    text = runbook.read_text().replace("Runbook\nfrom", "Runbook, LogMark, LogPattern, RunCommand\nfrom")
    text = text[: text.index("        yield File(")] + STEPS.replace("PATTERN", pattern)
    runbook.write_text(text)
    world.plan()
    world.approve()
    assert world.run() is code
