"""Rollbacks that are wrong in a small way are caught, each for its true reason."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from remediate.model.proof import Ending, Moment, Proof
from tests.e2e.world import World
from tests.proof.conftest import proved
from tests.reliability import record

pytestmark = pytest.mark.lab

#: By runbook, everything that is named as not restored, and what the row of the page says of it.
WRONG = {
    "wrong-mode": (["file:/etc/crontab: mode 0644 → 0600"], "the mode of a file"),
    "wrong-owner": (["file:/etc/crontab: owner 0:0 → 33:0"], "the owner of a file"),
    "lost-acl": (["file:/etc/crontab: attributes none → *user.origin*"], "an extended attribute"),
    "left-disabled": (
        [
            "file:/etc/systemd/system/multi-user.target.wants/shop.service: link there → absent",
            "unit:shop.service: enabled enabled → disabled",
        ],
        "a service that is disabled",
    ),
    "new-version": (["package:shop: version 1.0-1 → 1.1-1"], "a package's version"),
    "marked-manual": (["package:libargon2-1:*: installed automatically → by hand"], "a package's mark"),
    "left-file": (["file:/usr/local/share/fix: folder absent → there"], "a folder left behind"),
    "link-replaced": (["file:/etc/nginx/sites-enabled/shop: kind link → file"], "a link that became a file"),
    "last-line": (
        ["file:/etc/crontab: content *… → *…", "file:/etc/crontab: size * → *"],
        "the last line break of a file",
    ),
}


def not_restored(proof: Proof) -> list[str]:
    """What was named, without repeats."""
    return list(dict.fromkeys(str(d) for r in proof.results for d in r.differences))


@pytest.mark.parametrize("runbook", WRONG)
def test_wrong_rollback_is_caught(place: World, runbook: str) -> None:
    """The engine itself is content: all that the runbook observes is as before."""
    expected, said = WRONG[runbook]
    proof = proved(place, runbook, moments="after")
    (result,) = [r for r in proof.results if r.case.step.startswith("s")]
    assert result.exit_code == 4
    assert result.ending is Ending.NOT_RESTORED
    named = not_restored(proof)
    assert len(named) == len(expected), named
    for line, pattern in zip(named, expected, strict=True):
        assert fnmatchcase(line, f"web1: {pattern}"), line
    assert not proof.restored
    record("proofs", f"`{runbook}` (wrong on purpose)", len(proof.results), f"caught: {said}")


def test_the_lab_is_put_back_and_the_proof_goes_on(place: World) -> None:
    """Three wrong endings in one proof, and each is found, because the one before was mended."""
    proof = proved(place, "wrong-mode")
    assert [(str(r.case.moment), r.ending) for r in proof.results if r.case.step != ""] == [
        ("before", Ending.RESTORED),
        ("during", Ending.NOT_RESTORED),
        ("after", Ending.NOT_RESTORED),
    ]
    assert (place.disk("web1") / "etc/crontab").stat().st_mode & 0o777 == 0o644


def test_a_right_rollback_is_proved(place: World) -> None:
    """The same change with a rollback that thinks of everything."""
    proof = proved(place, "right-undo")
    assert [r.ending for r in proof.results] == [Ending.RESTORED] * 4
    assert proof.restored


def test_forgotten_task(place: World) -> None:
    """Found as soon as the playbook came to its end."""
    proof = proved(place, "forgotten-task", moments="after")
    assert not_restored(proof) == ["web1: file:/etc/fix-second: file absent → there"]
    record("proofs", "`forgotten-task` (wrong on purpose)", len(proof.results), "caught: a file left behind")


def test_rollback_that_expects_a_complete_step(place: World) -> None:
    """Right once the step was done; wrong if the playbook was killed on the way."""
    proof = proved(place, "only-complete", steps="s01-playbook", moments="during after")
    assert [r.ending for r in proof.results] == [Ending.NOT_RESTORED, Ending.RESTORED]
    assert [r.case.moment for r in proof.results] == [Moment.DURING, Moment.AFTER]
    assert not_restored(proof) == ["web1: file:/etc/fix-first: file absent → there"]
    said = "caught: half a playbook"
    record("proofs", "`only-complete` (wrong on purpose)", len(proof.results), said)


def test_what_nothing_undoes_is_not_tried(place: World) -> None:
    """The plan says so; a proof breaks only what can be put back."""
    proof = proved(place, "nothing-undoes")
    endings = {f"{r.case.step} {r.case.moment}": r.ending for r in proof.results}
    assert endings.pop(" finished") is Ending.IRREVERSIBLE
    for key, ending in endings.items():
        assert ending is (Ending.IRREVERSIBLE if key.startswith("s02") else Ending.RESTORED), key
    assert "the old log is gone" in proof.results[0].why
    assert not (place.disk("web1") / "etc/fix-1").exists()
