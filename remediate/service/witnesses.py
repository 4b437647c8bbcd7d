"""What tickets hold of runs: entries with their numbers, and the journal's own signed checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from remediate.approval.checkpoint import ENDING, SignedCheckpoint, only
from remediate.approval.signers import Signers
from remediate.checker import Anchor
from remediate.errors import Refused, RemediateError
from remediate.model.plan import Plan
from remediate.service.project import Project
from remediate.tickets.interface import Entry


@dataclass(frozen=True)
class Testimony:
    """What one ticket tells of one run."""

    text: str
    told: tuple[int, ...]
    anchors: tuple[Anchor, ...]


@dataclass
class Witnesses:
    """The tickets of a project, each read once.

    Whatever is wrong with them is added to ``findings``; runs that they vouch for to ``runs``, each with its
    ticket and the newest event that this tells of.
    """

    project: Project
    findings: list[str] = field(default_factory=list)
    runs: dict[str, tuple[str, int]] = field(default_factory=dict)
    _tickets: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    _anchors: dict[str, list[Anchor]] = field(default_factory=dict)
    _hashes: dict[int, str] = field(default_factory=dict)
    _key: str = ""
    _down: bool = False

    def ask(self, plan: Plan, run: str) -> Testimony | None:
        """What this plan's ticket tells of a run; None if it can't be asked."""
        if plan.ticket.system != self.project.config.ticket.system or not self._read(plan.ticket.id):
            return None
        mine = [entry for entry in self._tickets[plan.ticket.id] if entry.run == run]
        text = "\n".join(entry.text for entry in mine)
        return Testimony(text, tuple(e.last for e in mine), tuple(self._anchors.get(run, ())))

    def _read(self, ticket: str) -> bool:
        if self._down or ticket in self._tickets:
            return not self._down
        try:
            entries = self.project.tickets.entries(ticket, ENDING)
        except RemediateError as error:
            # One that is down would be waited for again and again.
            self._down = True
            why = f"so an edit or an end cut off would not show: {error.problem}"
            self.findings.append(f"not compared with the tickets, {why}")
            return False
        self._tickets[ticket] = entries
        for entry in entries:
            for data in entry.files:
                self._checkpoint(ticket, entry, data)
        return True

    def _checkpoint(self, ticket: str, entry: Entry, data: bytes) -> None:
        where = f"run {entry.run}: V14: ticket {ticket}, entry #{entry.last}"
        try:
            signed = SignedCheckpoint.parse(data)
            self._believe(signed)
        except RemediateError as error:
            self.findings.append(f"{where}: its checkpoint can't be believed: {error.problem}")
            return
        said = signed.payload
        if problem := next(self._misplaced(signed, entry), ""):
            self.findings.append(f"{where}: {problem}")
            return
        if self._hashes.setdefault(said.seq, said.hash) != said.hash:
            self.findings.append(
                f"{where}: record {said.seq} was vouched for with two different hashes:"
                " a copy of the journal went on beside it"
            )
        self._anchors.setdefault(said.run, []).append(Anchor(said.number, said.seq, said.hash))
        newest = max(self.runs.get(said.run, ("", 0))[1], entry.last)
        self.runs[said.run] = (ticket, newest)

    def _believe(self, signed: SignedCheckpoint) -> None:
        """Raises `Refused` unless the journal's key signed it: a pinned one, else the first that was seen."""
        pinned = self.project.config.audit.signers
        if pinned is not None:
            signed.verify(Signers.read(self.project.config.path(pinned)))
            return
        signed.verify(only(signed.key))
        self._key = self._key or signed.key
        if signed.key != self._key:
            raise Refused("it is signed with another key than the one before", "pin the journal's keys")

    def _misplaced(self, signed: SignedCheckpoint, entry: Entry) -> Iterator[str]:
        said = signed.payload
        if said.run != entry.run or said.number > entry.last:
            yield f"its checkpoint is of event {said.number} of run {said.run}"
        elif said.journal != self.project.journal.name():
            yield "its checkpoint is of another journal, or the first record was rewritten"
