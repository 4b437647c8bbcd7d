"""A project over the routers, driven by the real command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remediate.lab import router_net
from remediate.lab.hosts import Hosts
from remediate.lab.inventory import write_inventory
from remediate.lab.keys import key_pair
from remediate.lab.roster import by_name
from tests.adapters.network.world import ROUTERS
from tests.e2e.world import World, temporary

HERE = Path(__file__).parent


class NetWorld(World):
    """One project with the runbooks of these tests."""

    def fill(self, *, ticket: str = "T-1") -> None:
        """Runbooks, inventory, people, settings and one ticket."""
        (self.root / "runbooks").mkdir()
        shutil.copy(HERE / "runbooks" / "routers.py", self.root / "runbooks")
        (self.root / "ansible.cfg").touch()
        write_inventory(self.root / "inventory", self.lab.total, self.lab.layout, ROUTERS)
        self.edit("inventory/hosts.yml", self._impatient)
        self.configure()
        self.file_ticket(ticket)

    def _impatient(self, text: str) -> str:
        """A path that is dead is soon given up."""
        data = json.loads(text)
        for own in data["all"]["children"]["routers"]["hosts"].values():
            own["ansible_ssh_timeout"] = 2
        return json.dumps(data)

    def inband(self, name: str) -> None:
        """Manage this router over the network that it routes itself."""
        loopback = router_net.loopback(self.lab.layout, by_name(name))

        def change(text: str) -> str:
            data = json.loads(text)
            data["all"]["children"]["routers"]["hosts"][name]["ansible_host"] = loopback
            return json.dumps(data)

        self.edit("inventory/hosts.yml", change)


def people(folder: Path) -> None:
    """A key for whoever approves."""
    kind, data = key_pair(folder / "carol", "carol@lab").split()[:2]
    (folder / "allowed_signers").write_text(
        f'carol@lab namespaces="remediate-plan@remediate" {kind} {data}\n'
    )


@contextmanager
def project(lab: Hosts, root: Path) -> Iterator[NetWorld]:
    """A project; the routers are given back as they were built."""
    made = NetWorld(lab, root, temporary())
    root.mkdir()
    made.fill()
    try:
        yield made
    finally:
        made.end()
