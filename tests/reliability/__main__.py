"""``python -m tests.reliability write|check FOLDER``: make docs/reliability.md of figures, or compare it.

The folder is the one that ``REMEDIATE_FIGURES`` named while the tests ran. ``write`` replaces the sections
that have figures; ``check`` fails on any difference, also for a section that has none.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from tests.reliability.page import PAGE, render, rows

what, folder = sys.argv[1:]
old = PAGE.read_text() if PAGE.exists() else ""
new = render(rows(Path(folder)), old if what == "write" else "")
if what == "write":
    PAGE.write_text(new)
elif new != old:
    sys.stdout.writelines(
        difflib.unified_diff(old.splitlines(True), new.splitlines(True), str(PAGE), "this run")
    )
    sys.exit(1)
