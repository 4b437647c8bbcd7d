"""How far a run is, for the customer."""

from __future__ import annotations

from remediate.engine.state import RunState


def progress(state: RunState) -> str:
    """A sentence for the customer on how far the run is."""
    done = sum(t.settled is not None for t in state.targets.values())
    touched = sum(t.touched for t in state.targets.values())
    where = (
        "is rolling back" if state.stopping else f"is in wave {min(state.wave + 1, len(state.plan.waves))}"
    )
    return (
        f"The work goes on: it {where} of {len(state.plan.waves)}; {touched} of {len(state.targets)} "
        f"targets were reached so far, {done} are finished."
    )
