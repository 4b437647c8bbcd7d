"""What an approver reads of a run in check mode."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remediate.adapters.ansible import preview
from remediate.adapters.ansible.events import Recording
from tests.adapters.ansible.streams import begin, end, failed, ok, record, skipped, stats


def changed(diff: Any, task: str = "write") -> Recording:
    return record(
        begin("a", task),
        ok("a", task, changed=True, res={"diff": diff}),
        end("a"),
        stats(ok={"a": 1}, changed={"a": 1}),
    )


@pytest.mark.parametrize(
    ("diff", "expected"),
    [
        (
            {"before": "a\nb\n", "after": "a\nc\n", "before_header": "/etc/x", "after_header": "/etc/x"},
            ["--- /etc/x", "+++ /etc/x", "@@ -1,2 +1,2 @@", " a", "-b", "+c"],
        ),
        (
            {"before": "", "after": "new\n", "after_header": "/n"},
            ["--- /n", "+++ /n", "@@ -0,0 +1 @@", "+new"],
        ),
        (
            {"before": {"mode": "0644"}, "after": {"mode": "0600"}},
            [
                "--- state",
                "+++ state",
                "@@ -1,3 +1,3 @@",
                " {",
                '-  "mode": "0644"',
                '+  "mode": "0600"',
                " }",
            ],
        ),
        ({"prepared": "+ shop 1.1-1\n"}, ["+ shop 1.1-1"]),
        ({"src_binary": 1}, ["# the file is binary, so no difference is shown"]),
        ({"dst_larger": 104448}, ["# the file is larger than 104448 bytes, so no difference is shown"]),
        ([{"prepared": "one"}, {"prepared": "two"}], ["one", "two"]),
        ({"before": None, "after": None}, []),
    ],
)
def test_differences(diff: Any, expected: list[str]) -> None:
    head, *lines = preview.render(changed(diff), "a").splitlines()
    assert head == "# would change: write (ansible.builtin.copy)"
    assert lines == expected


def test_every_item_of_a_loop() -> None:
    res = {"results": [{"diff": {"prepared": "one"}}, {"diff": {"prepared": "two"}}]}
    recording = record(begin("a"), ok("a", changed=True, res=res), end("a"), stats(changed={"a": 1}))
    assert preview.render(recording, "a").splitlines()[1:] == ["one", "two"]


def test_a_difference_without_end_is_cut() -> None:
    text = "".join(f"{n}\n" for n in range(5000))
    lines = preview.render(changed({"before": "", "after": text}), "a").splitlines()
    assert len(lines) < 500
    assert lines[-1] == "# … 4603 more lines"


def test_nothing_to_change() -> None:
    recording = record(begin("a"), ok("a"), skipped("a", "other"), end("a"), stats(ok={"a": 1}))
    assert preview.render(recording, "a") == "# nothing would change\n"


def test_what_can_not_be_told() -> None:
    recording = record(begin("a"), skipped("a", "migrate"), end("a"), stats(skipped={"a": 1}))
    recording.take_skipped(json.dumps({"host": "a", "task": "migrate", "reason": "check mode"}) + "\n")
    assert preview.render(recording, "a") == "# can't be told beforehand: migrate\n"


def test_a_check_that_fails_or_does_not_end() -> None:
    text = preview.render(
        record(begin("a"), failed("a", "unpack", "no archive"), stats(failures={"a": 1})), "a"
    )
    assert "# fails in check mode: unpack (ansible.builtin.copy): no archive" in text
    assert "can't be told" in text
    cut = record(begin("a"), {"event": "error", "stdout": "ERROR! boom"})
    assert preview.render(cut, "a") == "# the check could not be finished\n#   ERROR! boom\n"
    other = record(begin("b"), ok("b"), end("b"), stats(ok={"b": 1}))
    assert preview.render(other, "a") == "# no play of the playbook runs on this host\n"
