"""Fix one setting of a configuration file and reload the service that reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from remediate.authoring import (
    AbsolutePath,
    FileIs,
    Http,
    Module,
    Risk,
    RiskLevel,
    Runbook,
    Service,
    ServiceIs,
    Step,
    UnitName,
    Watch,
    Waves,
)


class FixSetting(Runbook):
    """Set one ``key = value`` line of a configuration file, and restart the service that reads it.

    The service's own check has to accept the file before it is put in place. What goes back on a failure:
    the file with its owner and mode, then the service is restarted on it.
    """

    class Inputs(Runbook.Inputs):
        path: AbsolutePath = "/etc/shop/shop.conf"
        setting: str
        value: str
        service: UnitName = "shop"
        check: str = "/usr/bin/shop --check-config %s"

    targets = "web"
    strategy = Waves(canary=1, then="50%")
    risk = Risk(
        level=RiskLevel.LOW, outage="the service restarts on each host, about a second", data_loss="none"
    )

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        line = f"{inputs.setting} = {inputs.value}"
        yield Module(
            "ansible.builtin.lineinfile",
            args={
                "path": inputs.path,
                "regexp": rf"^\s*{re.escape(inputs.setting)}\s*=",
                "line": line,
                "validate": inputs.check,
            },
            label=f"set {line!r} in {inputs.path}",
            watch=Watch(files=[inputs.path], services=[inputs.service]),
            verify=[FileIs(inputs.path, contains=line)],
        )
        yield Service(
            name=inputs.service,
            state="restarted",
            verify=[
                ServiceIs(inputs.service, active=True),
                Http("http://{target.address}/healthz", status=200, within="15s"),
            ],
        )
