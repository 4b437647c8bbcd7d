"""What the tests found, as figures: kept while they run, and made into docs/reliability.md afterwards."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path


def record(section: str, *cells: object) -> None:
    """Keep one row of a section of docs/reliability.md, if ``REMEDIATE_FIGURES`` names a folder for them.

    Called after everything that a test asserts: what stands on the page was seen to hold.

    Args:
        section: a key of `tests.reliability.page.SECTIONS`.
        cells: one for each of its columns; the same on every machine, so no times and no ports.
    """
    folder = os.environ.get("REMEDIATE_FIGURES")
    if not folder:
        return
    row = json.dumps([f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells])
    path = Path(folder) / section / f"{hashlib.sha256(row.encode()).hexdigest()[:16]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(row)
