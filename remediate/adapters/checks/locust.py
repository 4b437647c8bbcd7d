"""Locust: a locustfile, run without its web page, judged by the statistics that it writes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from remediate.adapters.checks.load import LoadTest, Measured
from remediate.errors import InputError
from remediate.model.step import Context


class LocustFile(LoadTest):
    """A locustfile against ``host``, the URL that its users begin with."""

    kind: ClassVar[str] = "locust"
    install: ClassVar[str] = "python3 -m pip install locust"
    filled: ClassVar[tuple[str, ...]] = ("host",)

    host: str = Field(min_length=1)

    def __init__(self, path: str = "", **fields: Any) -> None:
        super().__init__(**{"path": path, **fields})

    def arguments(self, context: Context, folder: Path) -> Sequence[str]:
        """See `LoadTest.arguments`."""
        load = ["--users", str(self.users), "--spawn-rate", str(self.users)]
        time = ["--run-time", f"{self.duration:.0f}s"]
        out = ["--csv", str(folder / "out"), "--only-summary", "--exit-code-on-error", "0"]
        host = context.target.render(self.host)
        return ["--headless", "--locustfile", self.path, "--host", host, *load, *time, *out]

    def read(self, code: int, folder: Path) -> Measured:
        """See `LoadTest.read`."""
        if code != 0:
            raise InputError("locust failed")
        with (folder / "out_stats.csv").open(newline="", errors="replace") as file:
            return read_stats(csv.DictReader(file))


def read_stats(rows: Iterable[Mapping[str, str]]) -> Measured:
    """The line of all requests together; times are in milliseconds.

    Raises:
        InputError: there is no such line.
        ValueError, KeyError: it holds no numbers (``N/A`` stands there when nothing was requested).
    """
    total = next((row for row in rows if row["Name"] == "Aggregated"), None)
    if total is None:
        raise InputError("locust wrote no statistics")
    return Measured(
        samples=int(total["Request Count"]),
        errors=int(total["Failure Count"]),
        average_ms=float(total["Average Response Time"]),
        p95_ms=float(total["95%"]),
        p99_ms=float(total["99%"]),
        throughput=float(total["Requests/s"]),
    )
