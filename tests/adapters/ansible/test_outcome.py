"""From event streams to outcomes: what is believed, and what is not."""

from __future__ import annotations

import pytest

from remediate.adapters.ansible import outcome
from remediate.adapters.ansible.events import Recording
from remediate.model.step import Result, Status
from tests.adapters.ansible.streams import (
    DROPPED,
    REFUSED,
    Event,
    begin,
    end,
    event,
    failed,
    ok,
    record,
    skipped,
    stats,
    unreachable,
)


def result(recording: Recording, name: str = "a", *, killed: bool = False) -> Result:
    return outcome.results(recording, [name], killed=killed)[name]


OK, FAILED, DOUBT = Status.OK, Status.FAILED, Status.IN_DOUBT

# name: (events, status of host "a", whether it may have changed)
CASES: dict[str, tuple[list[Event | list[Event]], Status, bool]] = {
    "changed": (
        [begin("a"), ok("a", changed=True), end("a"), stats(ok={"a": 1}, changed={"a": 1})],
        OK,
        True,
    ),
    "nothing to change": ([begin("a"), ok("a"), end("a"), stats(ok={"a": 1})], OK, False),
    "all skipped": ([begin("a"), skipped("a"), end("a"), stats(skipped={"a": 1})], OK, False),
    "failed after a change": (
        [begin("a"), ok("a", changed=True), failed("a"), stats(failures={"a": 1}, changed={"a": 1})],
        FAILED,
        True,
    ),
    "failed, nothing changed": ([begin("a"), failed("a"), stats(failures={"a": 1})], FAILED, False),
    "rescued is not failed": (
        [begin("a"), failed("a"), ok("a", changed=True), end("a"), stats(rescued={"a": 1}, changed={"a": 1})],
        OK,
        True,
    ),
    "ignored is not failed": (
        [begin("a"), failed("a", ignore_errors=True), end("a"), stats(ok={"a": 1}, ignored={"a": 1})],
        OK,
        False,
    ),
    "rescue failed too": (
        [begin("a"), failed("a"), failed("a"), stats(failures={"a": 1}, rescued={"a": 1})],
        FAILED,
        False,
    ),
    "never connected": ([begin("a"), unreachable("a", REFUSED), stats(dark={"a": 1})], FAILED, False),
    "never connected after reading only": (
        [
            begin("a"),
            ok("a", "facts", action="ansible.builtin.setup"),
            unreachable("a", REFUSED),
            stats(dark={"a": 1}, ok={"a": 1}),
        ],
        FAILED,
        False,
    ),
    "never connected after a command that claims to change nothing": (
        [
            begin("a"),
            ok("a", "run", action="ansible.builtin.command"),
            unreachable("a", REFUSED),
            stats(dark={"a": 1}, ok={"a": 1}),
        ],
        DOUBT,
        True,
    ),
    "connection lost in the first task": (
        [begin("a"), unreachable("a", DROPPED), stats(dark={"a": 1})],
        DOUBT,
        True,
    ),
    "connection refused after a change": (
        [
            begin("a"),
            ok("a", changed=True),
            unreachable("a", REFUSED),
            stats(dark={"a": 1}, changed={"a": 1}),
        ],
        DOUBT,
        True,
    ),
    "connection lost in a loop": (
        [
            begin("a"),
            event("runner_item_on_ok", "a", "copy", res={"changed": True}),
            unreachable("a", DROPPED),
            stats(dark={"a": 1}),
        ],
        DOUBT,
        True,
    ),
    "no count at the end": ([begin("a"), ok("a", changed=True), end("a")], DOUBT, True),
    "cut in the middle of a task": ([begin("a")], DOUBT, True),
    "cut between two tasks": ([begin("a"), ok("a", changed=True)], DOUBT, True),
    "cut before this host began": ([begin("b"), ok("b")], DOUBT, False),
    "stopped because of another host": (
        [begin("a"), begin("b"), ok("a", changed=True), failed("b"), stats(ok={"a": 1}, failures={"b": 1})],
        FAILED,
        False,
    ),
    "another host failed, this one went on": (
        [begin("a"), begin("b"), ok("a"), failed("b"), end("a"), stats(ok={"a": 1}, failures={"b": 1})],
        OK,
        False,
    ),
    "no play selects it": ([begin("b"), ok("b"), end("b"), stats(ok={"b": 1})], FAILED, False),
    "only the last play selects it": (
        [begin("b"), ok("b"), end("a", "b"), stats(ok={"b": 1})],
        FAILED,
        False,
    ),
}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.replace(" ", "-"))
def test_outcome(case: str) -> None:
    events, status, changed = CASES[case]
    found = result(record(*events))
    assert (found.status, found.changed) == (status, changed), found


def told(text: str, *, killed: bool = False) -> Result:
    return result(
        record(*[{"event": "verbose", "stdout": line} for line in text.splitlines()]), killed=killed
    )


def test_nothing_began() -> None:
    found = told("[WARNING]: odd\n[ERROR]: the role 'x' was not found\n")
    assert (found.status, found.changed) == (FAILED, False)
    assert "role 'x'" in found.detail


@pytest.mark.parametrize(
    "text", ["", "[WARNING]: odd", "PLAY [all] ***\nTASK [x] ***\n[ERROR]: failed", "x [ERROR]: y"]
)
def test_only_ansibles_own_word_proves_that_nothing_began(text: str) -> None:
    assert told(text).status is DOUBT
    assert told(f"{text}\n[ERROR]: boom", killed=True).status is DOUBT


def test_silence_after_a_kill_proves_nothing() -> None:
    assert result(Recording(), killed=True).status is DOUBT


def test_a_lost_event_takes_away_the_benefit_of_the_doubt() -> None:
    whole = [begin("a"), begin("b"), failed("b"), stats(ok={"a": 1}, failures={"b": 1})]
    assert result(record(*whole)).status is FAILED
    assert result(record(*whole, {"uuid": "body never read"})).status is DOUBT
    assert result(record({"uuid": "body never read"})).status is DOUBT


@pytest.mark.parametrize("bad", [{}, {"event": 7}, {"event": "runner_on_ok", "event_data": []}])
def test_a_strange_event_is_counted_and_never_raises(bad: dict[str, object]) -> None:
    recording = Recording()
    recording.take(bad)
    assert (recording.count, recording.lost) == (1, 1)


def test_a_cut_at_any_place_is_never_success() -> None:
    whole = [
        begin("a"),
        ok("a", changed=True),
        begin("a", "two"),
        ok("a", "two"),
        *end("a"),
        stats(ok={"a": 2}),
    ]
    for length in range(len(whole)):
        assert result(record(*whole[:length]), killed=True).status is DOUBT
    assert result(record(*whole), killed=True).status is OK


def test_what_failed_is_told() -> None:
    more = {"res": {"rc": 100, "stderr": "E: dpkg was interrupted", "msg": "apt failed"}}
    found = result(record(begin("a"), failed("a", "install", "apt failed", **more), stats(failures={"a": 1})))
    assert found.summary == "task install (ansible.builtin.copy) failed: apt failed"
    assert "rc: 100" in found.detail
    assert "dpkg was interrupted" in found.detail
    assert found.data["counts"] == {"failed": 1}


def test_an_item_that_failed_is_told() -> None:
    res = {"results": [{"item": "x"}, {"item": "y", "failed": True, "msg": "no y"}]}
    found = result(record(begin("a"), failed("a", msg="one failed", res=res), stats(failures={"a": 1})))
    assert "'y': no y" in found.summary


def test_hidden_results_stay_hidden() -> None:
    res = {"censored": "the output has been hidden"}
    found = result(record(begin("a"), failed("a", msg="s3cret", res=res), stats(failures={"a": 1})))
    assert "s3cret" not in found.model_dump_json()


def test_endless_output_is_cut_at_its_beginning() -> None:
    res = {"stdout": "x" * 10_000 + "the end"}
    found = result(record(begin("a"), failed("a", res=res), stats(failures={"a": 1})))
    assert len(found.detail) < 5000
    assert found.detail.endswith("the end")


def test_many_tasks_are_counted_but_not_all_listed() -> None:
    found = result(record(*[ok("a", f"t{n}") for n in range(300)], end("a"), stats(ok={"a": 300})))
    assert found.data["counts"] == {"ok": 300}
    assert isinstance(found.data["tasks"], list)
    assert len(found.data["tasks"]) == 200


def test_a_message_is_told_without_its_last_line_break() -> None:
    """It stands in the middle of other sentences."""
    said = result(record(begin("a"), failed("a", msg="no such version\n"), stats(failures={"a": 1}))).summary
    assert "no such version" in said
    assert "\n" not in said
