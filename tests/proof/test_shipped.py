"""The rollbacks of the shipped runbooks, proved."""

from __future__ import annotations

import sys

import pytest

from remediate.model.proof import Ending, Proof
from tests.e2e.world import FULL, World
from tests.proof.conftest import LAYOUT, proved
from tests.reliability import record

pytestmark = pytest.mark.lab

_SIGNER = f'["{sys.executable}", "-m", "remediate.lab.ca", "sign", "--ca", "{LAYOUT.ca}"]'
#: Inputs, and the steps and moments of the bounded form.
SHIPPED = {
    "fix-setting": (("setting=workers", "value=8"), "s01-module s02-service", ""),
    "patch-package": (("package=shop", "version=1.1-1"), "s02-playbook", ""),
    "renew-certificate": (
        (f"authority={LAYOUT.ca}/ca.pem", f"signer={_SIGNER}", "days=45"),
        "s01-playbook",
        "during after",
    ),
}


def told(proof: Proof) -> str:
    """Everything that did not end well, for a failed test."""
    bad = [r for r in proof.results if r.ending is not Ending.RESTORED]
    return "\n".join(
        f"{r.case.step} {r.case.moment}: {r.ending}: {r.why}: {[str(d) for d in r.differences]}" for r in bad
    )


@pytest.mark.parametrize("runbook", SHIPPED)
def test_everything_goes_back(place: World, runbook: str) -> None:
    """Broken at each step, before, during and after it; and the whole run, taken back."""
    inputs, steps, moments = SHIPPED[runbook]
    proof = proved(place, runbook, *inputs, steps="" if FULL else steps, moments="" if FULL else moments)
    assert proof.restored, told(proof)
    steps_broken = sorted({r.case.step or "whole run" for r in proof.results})
    assert len(proof.results) >= 2
    record("proofs", f"`{runbook}`", len(proof.results), f"restored ({', '.join(steps_broken)})")


#: Of other technologies: on whom, with what.
OTHERS = {
    "block-range": ("ra1", ("prefix=198.51.100.0/24",)),
    "move-to-backup": (
        "ra1:rb1",
        ("near_net=10.221.100.0/24", "far_net=10.222.100.0/24", "probe_to=10.222.100.11"),
    ),
    "add-index": ("db1", ("what=index", "table=transfers", "column=amount")),
    "resize-vm": ("web1", ("cpus=2", "memory_mb=512", "package=shop", "version=1.1-1")),
}


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="REMEDIATE_FULL=1 proves the runbooks of every technology")
@pytest.mark.parametrize("runbook", OTHERS)
def test_other_technologies(place: World, runbook: str) -> None:
    """Devices, databases and virtual machines, as wholes."""
    on, inputs = OTHERS[runbook]
    proof = proved(place, runbook, *inputs, on=on)
    assert proof.restored, told(proof)
