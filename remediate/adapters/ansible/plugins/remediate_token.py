"""A callback plugin that `ansible-playbook` loads: marks remote processes, and tells why tasks were skipped.

Killing `ansible-playbook` does not end what it started on a target. With the attempt's token in the
environment of each module's process, and so of whatever that starts (apt, dpkg, a build), its end can be
confirmed there. Ansible offers no setting for this: since 2.19 an interpreter is quoted as one word, a shell
with arguments breaks the shell module, and sshd accepts no variables of ours.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase  # type: ignore[import-untyped]

DOCUMENTATION = """
    name: remediate_token
    type: aggregate
    short_description: mark remote processes with the attempt that started them
    version_added: "0.1"
    description: Adds REMEDIATE_TOKEN to the environment of every task; lists tasks skipped in check mode.
"""

NAME = "REMEDIATE_TOKEN"
#: A file for one JSON object per task that check mode skipped: ansible-runner's events leave the reason out.
SKIPPED = "REMEDIATE_SKIPPED"


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Extends the environment of all plays before the first of them starts."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "remediate_token"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Called once, with every play parsed and none begun."""
        token = os.environ.get(NAME, "")
        if token:
            for play in playbook.get_plays():
                # Last in the list, so that no environment of the author's hides it.
                play.environment = [*(play.environment or []), {NAME: token}]

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Called for each task that a host skipped, be it for its condition or for check mode."""
        file = os.environ.get(SKIPPED, "")
        reason = str(result._result.get("msg", ""))
        if file and "check mode" in reason:
            line = {"host": result._host.get_name(), "task": result._task.get_name(), "reason": reason}
            with Path(file).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
