"""Molecule itself over real hosts: the shipped scenarios, the page's example, and what must not pass."""

from __future__ import annotations

import os
import re

import pytest
import yaml

from tests.playbooks.conftest import LAYOUT, Project, typed
from tests.playbooks.scenarios import settings

pytestmark = [pytest.mark.lab, pytest.mark.slow]
#: What a scenario that is shipped goes through; the lab has nothing to create or destroy.
_ALL = {"syntax", "prepare", "converge", "idempotence", "verify", "side_effect", "cleanup"}
_EXAMPLE = "set_banner"


@pytest.mark.parametrize("line", typed("molecule test"))
def test_a_documented_command_passes(project: Project, line: str) -> None:
    before = project.state()
    ended = project.shell(line)
    assert ended.code == 0, ended.output
    scenario = project.root / "molecule" / line.rsplit(maxsplit=1)[-1]
    has = {path.stem for path in scenario.glob("*.yml")} | {"syntax", "idempotence"}
    assert ended.passed() == _ALL & has
    assert [action for action, _ in ended.actions] == settings(scenario)["scenario"]["test_sequence"]
    assert project.state() == before


@pytest.mark.skipif("REMEDIATE_FULL" not in os.environ, reason="only with REMEDIATE_FULL=1")
def test_a_playbook_that_is_not_idempotent_fails_and_the_host_is_brought_back(project: Project) -> None:
    playbook = project.root / f"playbooks/{_EXAMPLE}.yml"
    (play,) = yaml.safe_load(playbook.read_text())
    del play["tasks"][-1]["when"]
    playbook.write_text(yaml.safe_dump([play]))
    before = project.state()
    ended = project.shell(f"molecule test -s {_EXAMPLE}")
    assert ended.code != 0
    # Its summary calls the action successful; its exit code and its words don't.
    assert re.search(r"Idempotence test failed.*\n\* .*=> Restart the shop", ended.output), ended.output
    assert not {"verify", "side_effect"} & dict(ended.actions).keys()
    assert ("cleanup", "Successful") in ended.actions
    assert project.state() == before


def test_a_host_with_an_unknown_key_is_not_spoken_to(project: Project) -> None:
    known = LAYOUT.known_hosts.read_text()
    LAYOUT.known_hosts.write_text("")
    try:
        ended = project.shell(f"molecule converge -s {_EXAMPLE}")
    finally:
        LAYOUT.known_hosts.write_text(known)
    assert ended.code != 0
    assert "Host key verification failed" in ended.output
