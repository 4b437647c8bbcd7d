"""Journals of real runs of this version, kept for every later version to replay.

``python -m tests.journal.make_golden`` writes those of the version at hand, before it is released; those of
other versions are never touched. Each file holds the plan's bytes, the journal's rows, and what the version
that wrote them said of the run.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import remediate
from remediate.model.event import Event, Intent, Verb
from remediate.model.plan import Plan
from remediate.model.step import Verdict
from remediate.service.approving import decide
from remediate.service.auditing import audit_runs
from remediate.service.control import rollback
from remediate.service.running import Screen, execute
from remediate.service.runs import load_run
from tests.service.world import World

HERE = Path(__file__).parent / "golden"
#: The same on every machine, for it stands in the plans.
ROOT = Path("/tmp/remediate-golden")  # noqa: S108
_KNOCK = """\
        yield File(
            path=inputs.path,
            content="new\\\\n",
            estimate=QUICK,
            protect=[HostBackup(files=[inputs.path], estimate=QUICK)],
        )
        yield Knock(path=inputs.path + ".knock", estimate=QUICK)
"""


def verified_new(world: World) -> None:
    """Done."""
    world.done()


def rolled_back(world: World) -> None:
    """A check fails."""
    world.plan(fail=True)
    world.approve()
    world.run()


def killed_and_recovered(world: World) -> None:
    """The process dies between an intent and its outcome; another goes on."""
    world.plan()
    world.approve()

    def die(_plan: Plan, event: Event) -> None:
        if isinstance(event.body, Intent) and event.body.verb is Verb.APPLY and event.body.step == "s01-file":
            os._exit(9)

    if (child := os.fork()) == 0:
        execute(world.project, world.root / "fix.plan.json", Screen(die))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    world.run()


def decided_by_a_human(world: World) -> None:
    """Nobody can tell whether a step was done, until somebody signs that it was."""
    runbook = world.root / "runbooks" / "write.py"
    text = runbook.read_text()
    text = text[: text.index("        yield File(")] + _KNOCK
    runbook.write_text(f"from tests.journal.opaque import Knock\n{text}")
    world.plan()
    world.approve()
    world.run()
    run = world.project.journal.runs()[0]
    ((step, target),) = load_run(world.project, run).doubts
    decide(world.project, run, step, target, Verdict.APPLIED, world.root / "keys" / "carol")
    world.run()


def rolled_back_on_request(world: World) -> None:
    """Done, and undone later."""
    world.done()
    rollback(world.project, "last", Screen())


RUNS: tuple[Callable[[World], None], ...] = (
    verified_new,
    rolled_back,
    killed_and_recovered,
    decided_by_a_human,
    rolled_back_on_request,
)


def dump(world: World) -> dict[str, object]:
    """The only run of this project, whole."""
    assert audit_runs(world.project, None) == []
    (run,) = world.project.journal.runs()
    loaded = load_run(world.project, run)
    assert loaded.state.finished is not None
    with closing(sqlite3.connect(world.root / ".remediate" / "journal.db")) as db:
        (form,) = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
        names = "seq, run, number, at, kind, plan, body, prev, hash"
        rows = db.execute(f"SELECT {names} FROM events ORDER BY seq").fetchall()  # noqa: S608 - constants
    return {
        "version": remediate.__version__,
        "format": form,
        "run": run,
        "exit": loaded.state.finished.exit_code,
        "summary": loaded.state.finished.summary,
        "finals": {name: target.settled for name, target in loaded.state.targets.items()},
        "plan": loaded.plan.data.decode(),
        "rows": rows,
    }


def written(whole: dict[str, object]) -> str:
    """JSON with a line for each record."""
    fields = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in whole.items() if key != "rows"]
    rows = whole["rows"]
    assert isinstance(rows, list)
    lines = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return "{\n" + ",\n".join([*fields, f' "rows": [\n  {lines}\n ]']) + "\n}\n"


def main() -> None:
    folder = HERE / remediate.__version__
    folder.mkdir(parents=True, exist_ok=True)
    for run in RUNS:
        shutil.rmtree(ROOT, ignore_errors=True)
        world = World.make(ROOT)
        run(world)
        (folder / f"{run.__name__.replace('_', '-')}.json").write_text(written(dump(world)))
    shutil.rmtree(ROOT)


if __name__ == "__main__":
    main()
