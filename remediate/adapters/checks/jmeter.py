"""Apache JMeter: a test plan, run without its window, judged by its own log of samples."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

from remediate.adapters.checks.load import LoadTest, Measured, percentile
from remediate.errors import InputError
from remediate.model.step import Context

#: What the log must hold, whatever the machine's own settings say.
_LOG = {
    "output_format": "csv",
    "print_field_names": "true",
    "timestamp_format": "ms",
    "time": "true",
    "label": "true",
    "response_code": "true",
    "successful": "true",
    "assertion_results_failure_message": "true",
}
_GROUPS = ("ThreadGroup", "SetupThreadGroup", "PostThreadGroup")
_COMPLAINTS = 3
_SHOWN = 60
_FAILED = {"true": False, "false": True}


class JMeterPlan(LoadTest):
    """A JMeter test plan. JMeter's exit code tells nothing; the samples in its log (JTL) do.

    The plan gets the properties ``users``, ``duration`` (seconds), ``target_name`` and ``target_address``,
    and those of ``properties``. Each of its thread groups must take its threads from ``${__P(users)}``, or
    have a number that is not above ``users``; other kinds of thread groups are refused.
    """

    kind: ClassVar[str] = "jmeter"
    install: ClassVar[str] = "remediate lab up --with jmeter"
    filled: ClassVar[tuple[str, ...]] = ("properties",)

    properties: dict[str, str] = {}

    def __init__(self, path: str = "", **fields: Any) -> None:
        super().__init__(**{"path": path, **fields})

    def arguments(self, context: Context, folder: Path) -> Sequence[str]:
        """See `LoadTest.arguments`."""
        refuse_more_threads(context.artefacts / self.path, self.users)
        target = context.target
        properties = {name: target.render(value) for name, value in self.properties.items()} | {
            "users": str(self.users),
            "duration": f"{self.duration:.0f}",
            "target_name": target.name,
            "target_address": target.address,
        }
        settings = {f"jmeter.save.saveservice.{name}": value for name, value in _LOG.items()}
        words = [f"-J{name}={value}" for name, value in {**properties, **settings}.items()]
        log = ["-l", str(folder / "samples.jtl"), "-j", str(folder / "jmeter.log")]
        return ["-n", "-t", str(context.artefacts / self.path), *log, *words]

    def read(self, code: int, folder: Path) -> Measured:  # noqa: ARG002
        """See `LoadTest.read`."""
        with (folder / "samples.jtl").open(newline="", errors="replace") as file:
            return read_samples(csv.DictReader(file))


def refuse_more_threads(path: Path, users: int) -> None:
    """Whether every thread group of a plan has at most so many threads.

    Raises:
        InputError: one has more, or it can't be told.
    """
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314 - a file of the approved plan
    except ElementTree.ParseError as error:
        raise InputError(f"{path.name} is no test plan of JMeter: {error}") from None
    for group in root.iter():
        if not group.tag.endswith("ThreadGroup") or group.get("enabled") == "false":
            continue
        threads = next((e.text or "" for e in group if e.get("name") == "ThreadGroup.num_threads"), "")
        given = re.fullmatch(r"\$\{__P\(users(,\d*)?\)\}", threads.strip())
        few = re.fullmatch(r"[0-9]{1,6}", threads.strip()) and int(threads) <= users
        if group.tag not in _GROUPS or not (given or few):
            name, number = group.get("testname"), threads[:_SHOWN] or "no number of"
            raise InputError(
                f"{path.name}: the {group.tag} {name!r} has {number} threads",
                "take an ordinary thread group, and its threads from ${__P(users)}",
            )


def read_samples(rows: Iterable[Mapping[str, str]]) -> Measured:
    """Samples of a JTL in CSV form (JMeter manual, "CSV Log format"); times are in milliseconds.

    Raises:
        ValueError, KeyError: a row is none of a JTL, or cut off.
    """
    times: list[float] = []
    failed: Counter[str] = Counter()
    first, last = float("inf"), 0.0
    for row in rows:
        began, took = int(row["timeStamp"]), int(row["elapsed"])
        times.append(took)
        first, last = min(first, began), max(last, began + took)
        if _FAILED[row["success"]]:
            why = row.get("failureMessage") or row.get("responseMessage") or ""
            failed[f"{row['label']}: {row['responseCode']} {why}".strip()] += 1
    times.sort()
    count = len(times)
    return Measured(
        samples=count,
        errors=failed.total(),
        average_ms=sum(times) / count if count else float("nan"),
        p95_ms=percentile(times, 95),
        p99_ms=percentile(times, 99),
        throughput=1000 * count / max(1.0, last - first) if count else 0.0,
        complaints=tuple(f"{number} x {why}" for why, number in failed.most_common(_COMPLAINTS)),
    )
