"""k6: a script, judged by its summary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from remediate.adapters.checks.load import LoadTest, Measured
from remediate.errors import InputError
from remediate.model.step import Context

#: What k6 ends with when a threshold of the script itself was crossed (k6, errext/exitcodes).
_CROSSED = 99
_NAN = float("nan")


class K6Script(LoadTest):
    """A script for k6. Its own thresholds count as well (k6 then ends with 99).

    ``users`` and ``duration`` are given to k6, which sets aside the script's own scenarios for them; the
    script finds TARGET_NAME and TARGET_ADDRESS in ``__ENV``. Failed samples are failed requests and failed
    checks of the script, whichever are more. Nothing is sent to anybody else (no usage report, no cloud).
    """

    kind: ClassVar[str] = "k6"
    install: ClassVar[str] = "go install go.k6.io/k6@latest"

    def __init__(self, path: str = "", **fields: Any) -> None:
        super().__init__(**{"path": path, **fields})

    def arguments(self, context: Context, folder: Path) -> Sequence[str]:
        """See `LoadTest.arguments`."""
        target = context.target
        load = ["--vus", str(self.users), "--duration", f"{self.duration:.0f}s", "--no-usage-report"]
        quiet = ["--quiet", "--no-color", "--summary-trend-stats", "avg,p(95),p(99)"]
        known = ["-e", f"TARGET_NAME={target.name}", "-e", f"TARGET_ADDRESS={target.address}"]
        out = ["--summary-export", str(folder / "summary.json")]
        return ["run", *load, *quiet, *known, *out, self.path]

    def read(self, code: int, folder: Path) -> Measured:
        """See `LoadTest.read`."""
        if code not in (0, _CROSSED):
            raise InputError("k6 failed")
        found = read_summary(json.loads((folder / "summary.json").read_text()))
        if code == _CROSSED:
            raise InputError(f"a threshold of the script was crossed: {found}")
        return found


def read_summary(summary: Mapping[str, Any]) -> Measured:
    """What ``--summary-export`` writes: HTTP requests and checks; times are in milliseconds.

    Raises:
        KeyError: it is no such summary.
    """
    metrics = summary["metrics"]
    times = metrics.get("http_req_duration", {})
    requests = metrics.get("http_reqs", {})
    # http_req_failed counts the other way round: its "passes" are the requests that failed.
    errors = max(
        metrics.get("http_req_failed", {}).get("passes", 0), metrics.get("checks", {}).get("fails", 0)
    )
    return Measured(
        samples=int(requests.get("count", 0)),
        errors=int(errors),
        average_ms=float(times.get("avg", _NAN)),
        p95_ms=float(times.get("p(95)", _NAN)),
        p99_ms=float(times.get("p(99)", _NAN)),
        throughput=float(requests.get("rate", 0.0)),
    )
