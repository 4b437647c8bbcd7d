"""How soon `remediate --help` answers, beside an interpreter that only imports pydantic.

Run: ``python -m bench.startup [runs]``
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.measure import Verdicts, command, interleaved, machine, medians
from bench.workplace import PROGRAM, REPO

LIMIT = 2.0


def main() -> None:
    """Print the figures."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.NamedTemporaryFile() as file:
        log = Path(file.name)

        def help_() -> float:
            return command([PROGRAM, "--help"], log, PYTHONPATH=str(REPO))

        def pydantic() -> float:
            return command([sys.executable, "-c", "import pydantic"], log, PYTHONPATH=str(REPO))

        help_(), pydantic()  # from now on everything is in the page cache
        figures = interleaved(runs, {"remediate --help": help_, "import pydantic": pydantic})
    print(machine())
    found = medians(figures)
    verdicts = Verdicts()
    verdicts.at_most(
        "remediate --help / import pydantic", found["remediate --help"] / found["import pydantic"], LIMIT
    )
    verdicts.end()


if __name__ == "__main__":
    main()
