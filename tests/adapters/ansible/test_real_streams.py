"""What real Ansible says in the cases where its exit code or its counts mislead."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediate.adapters.ansible.playbook import Playbook
from remediate.model.target import Target
from tests.adapters.ansible.world import World

pytestmark = pytest.mark.slow

HEAD = "- hosts: all\n  gather_facts: false\n"
BREAK = "  - ansible.builtin.fail: {msg: broken}\n    when: inventory_hostname == 'b'\n"
CHANGE = "  - ansible.builtin.set_stats: {data: {x: 1}}\n    changed_when: true\n"

# name: (playbook, outcome by host)
CASES = {
    "one of three fails": (
        HEAD + "  tasks:\n" + CHANGE + BREAK + CHANGE,
        {"a": ("ok", True), "b": ("failed", True), "c": ("ok", True)},
    ),
    "any_errors_fatal stops the others, whom Ansible counts as ok": (
        HEAD + "  any_errors_fatal: true\n  tasks:\n" + CHANGE + BREAK + CHANGE,
        {"a": ("failed", True), "b": ("failed", True), "c": ("failed", True)},
    ),
    "max_fail_percentage likewise": (
        HEAD + "  max_fail_percentage: 10\n  tasks:\n" + CHANGE + BREAK + CHANGE,
        {"a": ("failed", True), "b": ("failed", True), "c": ("failed", True)},
    ),
    "a failed batch ends the play before the next": (
        HEAD + "  tasks:\n" + CHANGE + HEAD + "  serial: [1, 1, 1]\n  tasks:\n" + BREAK + CHANGE,
        {"a": ("failed", True), "b": ("failed", True), "c": ("failed", True)},
    ),
    "run_once fails for one, and all are stopped": (
        HEAD + "  tasks:\n  - ansible.builtin.fail: {msg: broken}\n    run_once: true\n",
        {"a": ("failed", False), "b": ("failed", False), "c": ("failed", False)},
    ),
    "rescued": (
        HEAD
        + "  tasks:\n  - block:\n    - ansible.builtin.fail: {msg: broken}\n    rescue:\n  "
        + CHANGE.replace("\n  ", "\n    "),
        {"a": ("ok", True), "b": ("ok", True), "c": ("ok", True)},
    ),
    "ignored": (
        HEAD + "  tasks:\n  - ansible.builtin.fail: {msg: broken}\n    ignore_errors: true\n",
        {"a": ("ok", False), "b": ("ok", False), "c": ("ok", False)},
    ),
    "end_host and end_play are the author's own will": (
        HEAD
        + "  tasks:\n  - ansible.builtin.debug: {msg: x}\n"
        + "  - ansible.builtin.meta: end_host\n    when: inventory_hostname == 'a'\n"
        + "  - ansible.builtin.meta: end_play\n",
        {"a": ("ok", False), "b": ("ok", False), "c": ("ok", False)},
    ),
    "a play for other hosts only": (
        "- hosts: a\n  gather_facts: false\n  tasks:\n" + CHANGE,
        {"a": ("ok", True), "b": ("failed", False), "c": ("failed", False)},
    ),
    "malformed": ("- hosts: all\n  tasks: [", dict.fromkeys("abc", ("failed", False))),
    "a role that is missing": (
        HEAD + "  roles: [nowhere]\n",
        dict.fromkeys("abc", ("failed", False)),
    ),
    "free strategy": (
        HEAD + "  strategy: free\n  tasks:\n" + CHANGE + BREAK,
        {"a": ("ok", True), "b": ("failed", True), "c": ("ok", True)},
    ),
}


#: What a playbook that is cut off is.
_CUT = {"malformed": pytest.mark.fault("Ansible", "before", "truncated", "failed, nothing changed")}


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=_CUT.get(c, ()), id=c.replace(" ", "-")) for c in CASES],
)
def test_outcomes(here: World, case: str) -> None:
    text, expected = CASES[case]
    assert here.outcomes(Playbook(here.write(text))) == expected


@pytest.mark.fault("Ansible", "before", "drop", "failed, nothing changed")
def test_unreachable_before_anything_ran(here: World) -> None:
    gone = Target(name="gone", address="127.0.0.1", port=1, user="nobody", groups=("web",))
    here.targets = (*here.targets, gone)
    found = Playbook(here.write(HEAD + "  tasks:\n  - ansible.builtin.ping:\n")).apply_many(here.contexts())
    assert (found["gone"].status.value, found["gone"].changed) == ("failed", False)
    assert "refused" in found["gone"].detail
    assert found["a"].status.value == "ok"


def test_data_is_no_template_and_the_authors_templates_are(here: World, tmp_path: Path) -> None:
    bomb = "{{ lookup('pipe', 'touch " + str(tmp_path / "pwned") + "') }}"
    text = HEAD + '  tasks:\n  - ansible.builtin.fail: {msg: "{{ text }} {{ deep.list[0] }} {{ whole }}"}\n'
    here.targets = tuple(
        t.model_copy(update={"vars": {**t.vars, "whole": "half {{ 1 + 1 }}"}}) for t in here.targets
    )
    step = Playbook(here.write(text), vars={"text": bomb, "deep": {"list": ["{{ 3 * 3 }}"]}})
    found = step.apply_many(here.contexts("a"))["a"]
    assert found.summary.endswith(f"failed: {bomb} {{{{ 3 * 3 }}}} half 2")
    assert not (tmp_path / "pwned").exists()
