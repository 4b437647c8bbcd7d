"""All guards of V1 to V15 and L1, by where they stand."""

from itertools import chain

from tests.mutations.guard import Guard
from tests.mutations.guards import (
    adapters,
    approval,
    bounds,
    doubt,
    endings,
    engine,
    journal,
    judging,
    planning,
    secrets,
    service,
    signatures,
    starting,
    tickets,
)

_PARTS = (
    engine,
    doubt,
    endings,
    bounds,
    journal,
    approval,
    signatures,
    planning,
    starting,
    service,
    adapters,
    tickets,
    secrets,
    judging,
)
GUARDS: tuple[Guard, ...] = tuple(chain.from_iterable(part.GUARDS for part in _PARTS))
