"""A journal that was rewritten, cut off, set back or gone on with is found by what the ticket holds.

The forger of these tests makes every number and hash anew, so that the journal alone would seem whole.
"""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from remediate.approval.checkpoint import NAMESPACE, PRINCIPAL, SignedCheckpoint
from remediate.errors import Exit, InputError, Refused
from remediate.lab.keys import key_pair
from remediate.service.auditing import audit_runs
from remediate.service.checkpoints import checkpoint, prepare
from remediate.service.running import Screen, execute
from tests.service.forger import (
    checkpoints,
    deleted,
    edited,
    forge,
    journal,
    keep,
    restore,
    sign_again,
)
from tests.service.world import World


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on one ticket; and ``earlier``, a copy of the journal from between them."""
    folder = tmp_path_factory.mktemp("finished")
    world = World.make(folder / "project")
    world.done()
    keep(world, folder / "earlier")
    world.file.unlink()
    world.done("two.plan.json")
    assert audit_runs(world.project, None) == []
    return folder


@pytest.fixture
def two(finished: Path, tmp_path: Path) -> World:
    """A copy to forge."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return World(tmp_path / "project")


def findings(world: World) -> list[str]:
    return audit_runs(world.project, None)


def pin(world: World, key: Path) -> None:
    """Say in the settings whose word counts."""
    public = (
        key_pair(key, "x")
        if not key.exists()
        else subprocess.run(
            ["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=True
        ).stdout
    )
    (world.root / "journal_signers").write_text(f"{PRINCIPAL} {' '.join(public.split()[:2])}\n")
    world.settings('[audit]\nsigners = "journal_signers"\n')


REWRITTEN = {
    "an edit in the middle": edited("settled", evidence="as it should be"),
    "an edit of the end": edited("run-finished", summary="all is well"),
    "an edit of the approvals": edited("run-started", runner="mallory"),
    "a record taken out": deleted("verified"),
    "the end of a wave taken out": deleted("gate-passed"),
    "a record of the first run taken out": lambda rows: rows[:3] + rows[4:],
}  # fmt: skip


def faulty(fault: str) -> pytest.MarkDecorator:
    """A row of the fault matrix."""
    return pytest.mark.fault("journal", "after the run", f"{fault}; its hashes made anew", "found by `audit`")


@pytest.mark.parametrize("what", [pytest.param(what, marks=faulty(what)) for what in REWRITTEN])
def test_a_record_that_was_rewritten(two: World, what: str) -> None:
    forge(two, REWRITTEN[what])
    found = findings(two)
    assert any("V14" in text and "rewritten" in text for text in found), found


@faulty("the end cut off")
def test_an_end_that_was_cut_off(two: World) -> None:
    forge(two, lambda rows: rows[:-3])
    assert any("V14" in text and "its end was cut off" in text for text in findings(two))


@faulty("a run taken out whole, with its folder")
def test_a_run_that_was_taken_out_whole_with_its_folder(two: World) -> None:
    _, second = two.project.journal.runs()
    forge(two, lambda rows: [row for row in rows if row.run != second])
    shutil.rmtree(two.root / ".remediate" / "runs" / second)
    (found,) = findings(two)
    assert found.startswith(f"run {second}: V14")
    assert "older copy" in found
    forge(two, lambda _: [])
    assert len(findings(two)) >= 2


@faulty("set back to an older copy")
def test_an_older_copy(two: World) -> None:
    restore(two, two.root.parent / "earlier")
    (found,) = findings(two)
    assert "an older copy was put in its place" in found


@faulty("an older copy that went on: a fork")
def test_a_copy_that_went_on(two: World) -> None:
    """The same numbers, other hashes: told by the ticket, which saw both."""
    second = two.project.journal.runs()[1]
    restore(two, two.root.parent / "earlier")
    two.file.unlink()
    two.done("three.plan.json")
    shutil.rmtree(two.root / ".remediate" / "runs" / second)
    found = findings(two)
    assert any("two different hashes" in text for text in found), found
    assert any(text.startswith(f"run {second}: V14") for text in found), found


@faulty("all records written anew")
def test_a_whole_other_journal_of_the_same_runs(two: World) -> None:
    """Even if each hash is new, from the first record on."""
    forge(two, lambda rows: [type(row)(row.run, row.at + 1, row.kind, row.plan, row.body) for row in rows])
    assert any("of another journal" in text for text in findings(two))


def altered(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


SPOILT: dict[str, tuple[Callable[[World], object], str]] = {
    "its hash": (lambda w: altered(checkpoints(w)[1], '"hash":"', '"hash":"0'), "not a checkpoint"),
    "its number": (lambda w: altered(checkpoints(w)[-1], '"number":12', '"number":11'), "can't be believed"),
    "its signature": (lambda w: altered(checkpoints(w)[1], "U1NI", "U1NJ"), "can't be believed"),
    "its form": (lambda w: altered(checkpoints(w)[1], '{"payload"', '{ "payload"'), "not in the form"),
    "nothing in it": (lambda w: checkpoints(w)[1].write_bytes(b""), "not a checkpoint"),
    "deep": (lambda w: checkpoints(w)[1].write_text("[" * 100_000), "not a checkpoint"),
    "another in its place": (
        lambda w: checkpoints(w)[0].write_bytes(checkpoints(w)[-1].read_bytes()),
        "its checkpoint is of event",
    ),
    "taken off": (lambda w: checkpoints(w)[1].unlink(), "holds no checkpoint of event 10"),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_a_checkpoint_that_was_spoilt(two: World, what: str) -> None:
    change, says = SPOILT[what]
    change(two)
    found = findings(two)
    assert any("V14" in text and says in text for text in found), found


def test_another_key_than_the_first(two: World, tmp_path: Path) -> None:
    """Whoever has lost the journal's key, or never had it, shows."""
    (two.root / ".remediate" / "journal.key").unlink()
    two.file.unlink()
    two.done("three.plan.json")
    assert any("another key than the one before" in text for text in findings(two))


@pytest.mark.fault(
    "journal",
    "after the run",
    "journal and ticket forged with another key",
    "found by `audit`, if the key is pinned",
)
def test_everything_forged_with_a_key_of_the_forgers(two: World, tmp_path: Path) -> None:
    """Somebody who rewrites journal *and* ticket is found only by a key that was pinned before."""
    pin(two, journal(two).with_suffix(".key"))
    assert findings(two) == []
    key_pair(tmp_path / "mine", "mallory")
    forge(two, edited("settled", evidence="as it should be"))
    sign_again(two, tmp_path / "mine")
    assert any("V14" in text and "can't be believed" in text for text in findings(two))
    two.settings("")
    assert findings(two) == []


def test_ssh_keygen_itself_agrees(two: World, tmp_path: Path) -> None:
    """What the documentation says to do by hand, with nothing of this program."""
    pin(two, journal(two).with_suffix(".key"))
    for path in checkpoints(two):
        whole = json.loads(path.read_text())
        (tmp_path / "signature").write_text(whole["signature"])
        argv = ["ssh-keygen", "-Y", "verify", "-f", str(two.root / "journal_signers"), "-I", PRINCIPAL]
        argv += ["-n", NAMESPACE, "-s", str(tmp_path / "signature")]
        said = json.dumps(whole["payload"], sort_keys=True, separators=(",", ":")).encode()
        assert subprocess.run(argv, input=said, capture_output=True, check=False).returncode == 0
        assert subprocess.run(argv, input=said + b" ", capture_output=True, check=False).returncode != 0


def test_an_approval_is_no_checkpoint_nor_the_other_way_round(two: World) -> None:
    """One signature never passes for the other, whoever's key it is."""
    pin(two, two.root / "keys" / "carol")
    assert any("can't be believed" in text for text in findings(two))
    envelope = next(two.root.glob("*approve*"))
    checkpoints(two)[0].write_bytes(envelope.read_bytes())
    assert any("not a checkpoint" in text for text in findings(two))


def test_the_key_is_made_once_and_is_nobody_elses(world: World) -> None:
    key = journal(world).with_suffix(".key")
    prepare(world.project)
    first = key.read_bytes()
    prepare(world.project)
    assert key.read_bytes() == first
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [p.name for p in key.parent.iterdir()] == ["journal.key"]


def test_the_same_checkpoint_however_often_it_is_made(two: World) -> None:
    """A post that is tried again is the same, also by another process that has to sign it anew."""
    project = two.project
    event = project.journal.events(project.journal.runs()[0])[0]
    path = checkpoint(project, event)
    first = path.read_bytes()
    path.unlink()
    assert checkpoint(project, event).read_bytes() == first
    path.write_bytes(b"torn")
    assert checkpoint(project, event).read_bytes() == first


def test_a_key_that_does_not_sign_is_told_before_anything_is_touched(world: World) -> None:
    world.settings('[audit]\nkey = "keys/gone"\n')
    world.plan()
    world.approve()
    with pytest.raises(Refused, match="the journal's own key"):
        world.run()
    assert not world.file.exists()
    with pytest.raises(InputError, match="keys/gone"):
        prepare(world.project)


def test_a_key_that_goes_away_meanwhile_holds_nothing_up(world: World) -> None:
    """The run is more important; what is missing is told, by it and by an audit."""
    world.plan()
    world.approve()
    said: list[str] = []
    key = journal(world).with_suffix(".key")
    world.tampered = True
    screen = Screen(lambda *_: key.unlink(missing_ok=True), progress=said.append)
    assert execute(world.project, world.root / "fix.plan.json", screen) is Exit.VERIFIED_NEW
    assert any("the ticket gets no checkpoint of event #12" in text for text in said)
    assert any("holds no checkpoint of event 12" in text for text in findings(world))


def test_what_the_ticket_lacks(two: World) -> None:
    log = two.root / "tickets/T-1/log.md"
    text = log.read_text()
    log.write_text(text[: text.rindex("## ")])
    (found,) = findings(two)
    assert "V13: the run ended with event 12; its ticket tells up to event 11" in found
    log.write_text(text + text[text.rindex("## ") :])
    (found,) = findings(two)
    assert "V13: the ticket tells of event 12 after event 12" in found


class TestSecrets:
    """Planted where they don't belong, in whichever encoding."""

    CANARY = "c4nary-Of-the-audit"

    @pytest.fixture
    def told(self, two: World, monkeypatch: pytest.MonkeyPatch) -> World:
        monkeypatch.setenv("AUDIT_CANARY", self.CANARY)
        two.settings('[backups]\nidentity = "env:AUDIT_CANARY"\n')
        assert findings(two) == []
        return two

    @pytest.mark.parametrize("form", [CANARY, CANARY.encode().hex(), json.dumps(CANARY)[1:-1]])
    def test_on_the_ticket(self, told: World, form: str) -> None:
        log = told.root / "tickets/T-1/log.md"
        log.write_text(log.read_text().replace("verified new", f"verified new {form}", 1))
        assert any("V15: ticket T-1 holds a secret" in text for text in findings(told))

    def test_in_the_run_folder(self, told: World) -> None:
        run = told.project.journal.runs()[0]
        (told.root / ".remediate" / "runs" / run / "note.txt").write_text(f"password {self.CANARY}")
        assert any(f"V15: runs/{run}/note.txt holds a secret" in text for text in findings(told))

    def test_in_the_journal(self, told: World) -> None:
        forge(told, edited("settled", evidence=self.CANARY))
        assert any("V15: event 11 (settled) holds a secret" in text for text in findings(told))

    def test_in_the_journal_of_what_no_audit_can_resolve(
        self, told: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An audit finds what it knows only."""
        monkeypatch.delenv("AUDIT_CANARY")
        run = told.project.journal.runs()[0]
        (told.root / ".remediate" / "runs" / run / "note.txt").write_text(self.CANARY)
        assert findings(told) == []


def test_each_checkpoint_says_what_the_journal_says(two: World) -> None:
    """At a run's start, after each wave, and at its end."""
    kinds = []
    for path in checkpoints(two):
        said = SignedCheckpoint.parse(path.read_bytes()).payload
        (event,) = [e for e in two.project.journal.events(said.run) if e.number == said.number]
        assert (event.seq, event.hash) == (said.seq, said.hash)
        kinds.append(event.body.kind)
    assert kinds == ["run-started", "gate-passed", "run-finished"] * 2
