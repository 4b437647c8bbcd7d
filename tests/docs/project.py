"""A small project of its own, whose hosts are this machine: enough to load, compile and refuse runbooks."""

from __future__ import annotations

from pathlib import Path

SETTINGS = """\
[project]
name = "example"

[people.alice]
logins = ["root", "alice"]
"""
#: Planning may read them, and reads nothing but what an example names.
INVENTORY = """\
all:
  children:
    web:
      hosts: {web1: {}, web2: {}}
    db:
      hosts: {db1: {}}
  vars: {ansible_connection: local, ansible_host: 127.0.0.1}
"""
TICKET = "---\nsubject: an example\nrequester: customer@example.org\npriority: normal\n---\n"
PLAYBOOK = "- hosts: all\n  gather_facts: false\n  tasks: []\n"


def make(folder: Path) -> Path:
    """The project; returns its folder."""
    for name, text in {
        "remediate.toml": SETTINGS,
        "inventory/hosts.yml": INVENTORY,
        "tickets/CHG-1/ticket.md": TICKET,
        "playbooks/fix.yml": PLAYBOOK,
    }.items():
        put(folder, name, text)
    (folder / "runbooks").mkdir()
    return folder


def put(folder: Path, name: str, text: str) -> Path:
    """Write one file of the project."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
