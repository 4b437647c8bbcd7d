"""What an exception of a port means."""

from __future__ import annotations

from remediate.errors import JournalUnwritable, RemediateError, StaleLease, StepFailed
from remediate.model.step import Result, Status

_FATAL = (JournalUnwritable, StaleLease)


def failure(error: Exception) -> Result:
    """A result from an exception. Only `StepFailed` says that the attempt ended; all else is doubt."""
    status = Status.FAILED if isinstance(error, StepFailed) else Status.IN_DOUBT
    return Result(status=status, summary=words(error))


def words(error: Exception) -> str:
    """An error in words; one that ends the run goes on up instead."""
    if isinstance(error, _FATAL):
        raise error
    text = error.problem if isinstance(error, RemediateError) else f"{type(error).__name__}: {error}"
    return text.strip() or type(error).__name__
