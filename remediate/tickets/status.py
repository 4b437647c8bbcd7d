"""The status of a change on its ticket, moved along with the run where the ticket system has one."""

from __future__ import annotations

from collections.abc import Callable

from remediate.model.event import Final
from remediate.tickets.interface import (
    Change,
    ChangeWorkflow,
    Post,
    TicketAltered,
    TicketDown,
    TicketRefused,
    TicketSystem,
)

_RESULT = {
    Final.NEW: "that every system is changed and verified",
    Final.ORIGINAL: "that everything is rolled back and verified to be as before",
    Final.HUMAN: "that a human has to look at it",
}
#: Attempts to move the status before the log goes on without.
ATTEMPTS = 3


class StatusKeeper:
    """Moves the status; a refusal is noted on the ticket, and holds neither the run nor its log up.

    Args:
        system: where the ticket is; one without a workflow is left alone.
        ticket: its id.
        run: id of the run.
        change: what the ticket's fields show; None: leave the ticket alone.
        post: posts an entry, as the log does.
        problem: told in words what goes wrong.
    """

    def __init__(
        self,
        system: TicketSystem,
        ticket: str,
        run: str,
        change: Change | None,
        post: Callable[[Post], None],
        problem: Callable[[str], None],
    ) -> None:
        self._system, self._ticket, self._change = system, ticket, change
        # A log of its own: the numbers in the run's markers are those of events.
        self._notes = f"{run}.status"
        self._post, self._problem = post, problem
        self._attempts = self._noted = 0
        #: Whether `finished` has moved the status, or noted that it could not.
        self.moved = False

    def started(self, wait: float) -> float:
        """The run has begun. Returns as `_move` does."""
        text = "The ticket's status or fields could not be set"
        return self._move(1, text, lambda system, change: system.started(self._ticket, change), wait)

    def finished(self, number: int, final: Final, wait: float) -> float:
        """The run has ended with this event, perhaps not for the first time. Returns as `_move` does."""

        def move(system: ChangeWorkflow, _change: Change) -> None:
            self.moved = system.finished(self._ticket, final) or self.moved

        text = f"The run's result is {_RESULT[final]}, but the ticket's status could not be set to say so"
        return self._move(number, text, move, wait)

    def _move(
        self, number: int, text: str, move: Callable[[ChangeWorkflow, Change], None], wait: float
    ) -> float:
        """Seconds after which to come again: ``wait``, if there is a note that may not be posted before.

        Raises:
            TicketDown: nobody knows; to be tried again.
        """
        if not isinstance(self._system, ChangeWorkflow) or self._change is None:
            return 0.0
        try:
            move(self._system, self._change)
        except (TicketRefused, TicketDown) as error:
            self._attempts += 1
            # The ticket answered just now: if it goes on failing at this alone, the log must not wait for it.
            if isinstance(error, TicketDown) and self._attempts < ATTEMPTS:
                raise
            self._problem(f"the ticket's status: {error.problem}")
            return self._note(number, f"{text}: {error.problem}", wait)
        self._attempts = 0
        return 0.0

    def _note(self, number: int, text: str, wait: float) -> float:
        if number <= self._noted or self._system.last_posted(self._ticket, self._notes) >= number:
            return 0.0
        if wait:
            return wait
        try:
            self._post(Post(self._notes, number, text))
        except TicketAltered as error:
            self._problem(f"the ticket's log is not as it was written: {error.problem}")
        self._noted = number
        self.moved = True
        return 0.0
