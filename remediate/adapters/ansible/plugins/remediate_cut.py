"""A callback plugin that ends `ansible-playbook` in the middle, to prove that its half can be taken back.

It dies as a killed process does: nothing is tidied up, and no final status is told.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ansible.plugins.callback import CallbackBase  # type: ignore[import-untyped]

DOCUMENTATION = """
    name: remediate_cut
    type: aggregate
    short_description: die after a number of changes
    version_added: "0.1"
    description: Ends the process once REMEDIATE_CUT tasks changed something on any host.
"""

NAME = "REMEDIATE_CUT"
KILLED = 137


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Counts changes."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "remediate_cut"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._left = int(os.environ.get(NAME, "0"))
        self._due = False

    def v2_runner_on_ok(self, result: Any) -> None:
        """Called when a task has ended well on a host."""
        self._left -= bool(result._result.get("changed"))
        self._due = self._left <= 0

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002
        """Called before each task: the one before it has been told of by now."""
        if self._due:
            self._die()

    def v2_playbook_on_play_start(self, play: Any) -> None:  # noqa: ARG002
        """Likewise before each play."""
        if self._due:
            self._die()

    @staticmethod
    def _die() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(KILLED)
