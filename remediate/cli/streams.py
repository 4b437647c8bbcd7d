"""Standard streams whose reader may go away (a pager that was quit, `head`): the work goes on to its end."""

from __future__ import annotations

import io
import os
import sys


class Stream(io.TextIOWrapper):
    """Text for a person or program; once nobody reads it any more, what is left to say goes nowhere.

    A run must not end in the middle because its listener did, and the exit code stays the true one.
    """

    gone = False

    def write(self, text: str, /) -> int:
        """See `io.TextIOWrapper.write`."""
        try:
            return super().write(text)
        except BrokenPipeError:
            self._nobody_reads()
            return len(text)

    def flush(self) -> None:
        """See `io.TextIOWrapper.flush`."""
        try:
            super().flush()
        except BrokenPipeError:
            self._nobody_reads()

    def _nobody_reads(self) -> None:
        self.gone = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def prepare() -> None:
    """Put these in the place of the standard ones; a character that a terminal lacks becomes its escape."""
    for name in ("stdout", "stderr"):
        old = getattr(sys, name)
        if isinstance(old, io.TextIOWrapper):
            old.flush()
            made = Stream(old.buffer, old.encoding, "backslashreplace", line_buffering=old.line_buffering)
            setattr(sys, name, made)


def nobody_reads() -> bool:
    """Whether the reader of standard output has gone."""
    return getattr(sys.stdout, "gone", False)
