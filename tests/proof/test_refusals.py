"""Nothing is broken that nobody said may be broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediate.errors import InputError, Refused
from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
from remediate.model.target import Target
from remediate.service.project import Project
from remediate.service.proof.prove import Asked, Audience, prove
from remediate.service.proof.targets import lab_hosts
from tests.docs.project import make, put

RUNBOOK = '''
from remediate.authoring import Risk, Runbook, RunCommand


class Touch(Runbook):
    """Make a file."""

    targets = "web"
    peers = "db"
    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs):
        yield RunCommand(argv=("touch", "/nowhere/file"), undo_with=("rm", "/nowhere/file"))
'''


@pytest.fixture
def lab(tmp_path: Path) -> Hosts:
    """A lab that has web1's disk; nothing runs."""
    layout = Layout(tmp_path / "lab", "rmnone", "10.213.250")
    (layout.hosts / "web1/upper").mkdir(parents=True)
    return Hosts(layout, 2)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """With a runbook over two web hosts, which acts through db1."""
    folder = make(tmp_path / "project")
    put(folder, "runbooks/touch.py", RUNBOOK)
    return Project.open(folder)


def host(lab: Hosts, **changed: object) -> Target:
    """web1 of the lab, but for these."""
    known = {"remediate_known_hosts": str(lab.layout.known_hosts)}
    fields = {"name": "web1", "address": "10.213.250.11", "vars": known} | changed
    return Target.model_validate(fields)


def test_every_host_is_named(project: Project, lab: Hosts) -> None:
    """Targets, and whoever the runbook acts through."""
    with pytest.raises(Refused) as refused:
        prove(project, Asked("touch"), Audience(), lab)
    assert len(refused.value.reasons) == 3
    for name in ("web1", "web2", "db1"):
        assert any(r.startswith(f"{name} (127.0.0.1)") for r in refused.value.reasons)
    assert "disposable" in refused.value.advice
    assert not project.config.journal_path.exists()


def test_a_host_of_the_lab(project: Project, lab: Hosts) -> None:
    """By address, host key and way."""
    assert lab_hosts(project, lab, [host(lab)]) == ("web1",)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"address": "192.0.2.7"}, "is not at the address"),
        ({"port": 2222}, "is not at the address"),
        ({"name": "web2"}, "is no host of the lab"),
        ({"vars": {}}, "host keys"),
        ({"vars": {"remediate_known_hosts": "/etc/ssh/known"}}, "host keys"),
        ({"more": {"ansible_connection": "local"}}, "own network"),
        ({"more": {"ansible_ssh_common_args": "-J jump.example"}}, "own network"),
        ({"more": {"vcenter_hostname": "vcenter.example"}}, "another vCenter"),
        ({"more": {"ansible_password": "x"}}, "ansible_password"),
    ],
)
def test_what_only_looks_like_one(project: Project, lab: Hosts, changed: dict[str, object], why: str) -> None:
    """One of these is enough to be somebody's real host."""
    more = changed.pop("more", {})
    assert isinstance(more, dict)
    found = host(lab, **changed)
    found = found.model_copy(update={"vars": found.vars | more})
    with pytest.raises(Refused, match=why):
        lab_hosts(project, lab, [found])


@pytest.mark.parametrize("said", ["variable", "name", "group"])
def test_declared_disposable(project: Project, lab: Hosts, said: str) -> None:
    """By its inventory or by the project; it is then allowed, but not one of the lab's."""
    found = Target(name="old1", address="192.0.2.7", groups=("staging",))
    if said == "variable":
        found = found.model_copy(update={"vars": {"remediate_disposable": True}})
    names = {"variable": (), "name": ("old1",), "group": ("staging",)}[said]
    proof = project.config.proof.model_copy(update={"disposable": names})
    project.config = project.config.model_copy(update={"proof": proof})
    assert lab_hosts(project, lab, [found]) == ()


def test_a_word_is_not_enough(project: Project, lab: Hosts) -> None:
    """`remediate_disposable: "no"` is text, and no text means yes."""
    found = Target(name="old1", address="192.0.2.7", vars={"remediate_disposable": "no"})
    with pytest.raises(Refused):
        lab_hosts(project, lab, [found])


def test_folder_that_is_not_empty(project: Project, lab: Hosts, tmp_path: Path) -> None:
    """An earlier proof's evidence is not mixed with this one's."""
    (tmp_path / "kept/old").mkdir(parents=True)
    declared = project.config.proof.model_copy(update={"disposable": ("web", "db")})
    project.config = project.config.model_copy(update={"proof": declared})
    with pytest.raises(InputError, match="not empty"):
        prove(project, Asked("touch", keep=tmp_path / "kept"), Audience(), lab)


def test_no_such_runbook(project: Project, lab: Hosts) -> None:
    """As for a plan."""
    with pytest.raises(InputError, match="nothing-like-it"):
        prove(project, Asked("nothing-like-it"), Audience(), lab)
