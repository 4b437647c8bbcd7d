"""Cells of the fault matrix that can't be, and why."""

from __future__ import annotations

from itertools import product

TECHNOLOGIES = ("Ansible", "hosts", "VMware", "network", "databases", "ticket")
MOMENTS = ("before", "during", "after", "late")
FAULTS = ("drop", "half-applied", "timeout", "truncated", "duplicate", "disk full", "vanished")

#: "after" is: the effect is whole, and its reply is not there yet.
_WHOLE = "an effect that is over is whole"
_UNHEARD = "nobody reads the reply of an effect that comes late"

IMPOSSIBLE: dict[tuple[str, str, str], str] = {
    **{(technology, "after", "half-applied"): _WHOLE for technology in TECHNOLOGIES},
    **{(technology, "late", "truncated"): _UNHEARD for technology in TECHNOLOGIES},
    ("databases", "late", "half-applied"): "a transaction commits as a whole, or its session was ended",
    ("ticket", "late", "half-applied"): "the tracker takes an entry in one transaction, or does not",
    ("databases", "after", "disk full"): "what was committed is on disk; nothing more is stored for it",
    ("ticket", "after", "disk full"): "what was taken is on disk; nothing more is stored for it",
    ("databases", "late", "disk full"): "the session is ended before anybody looks, so nothing comes late",
    ("ticket", "late", "disk full"): "the entry is not taken then, which is the same as a full disk before",
    ("Ansible", "late", "duplicate"): "a task is sent once: ssh is told not to try again",
    ("network", "late", "duplicate"): "a line is typed once into a session, and never again into another",
    ("network", "late", "disk full"): "what is saved is saved last, and its reply is waited for",
}


def cells() -> list[tuple[str, str, str]]:
    """All of the matrix."""
    return list(product(TECHNOLOGIES, MOMENTS, FAULTS))
