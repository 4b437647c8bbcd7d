"""The example of the guide for developers, as an installed package, from plan to rollback."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.docs import project
from tests.docs.blocks import DOCS, blocks

PAGE = DOCS / "adding-a-technology.md"
TOKEN = "hush-hush-token"


class Service(ThreadingHTTPServer):
    """The flag service of two shops, which may lose a reply after it did what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.flags = {"/eu/old-checkout": True, "/us/old-checkout": True}
        self.lose: set[str] = set()
        self.refuse: set[str] = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Service

    def _flag(self) -> str:
        # Each shop has its own name for this machine, so the two are told apart by the port's host.
        host = (self.headers["Host"] or "").partition(":")[0]
        shop = {"127.0.0.1": "eu", "localhost": "us"}[host]
        return f"/{shop}/{self.path.rpartition('/')[2]}"

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == f"Bearer {TOKEN}"
        self._answer(200, self.server.flags.get(self._flag(), True))

    def do_PUT(self) -> None:
        value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["enabled"]
        if self._flag() in self.server.refuse:
            self._answer(403, False)
            return
        self.server.flags[self._flag()] = value
        if self._flag() in self.server.lose:
            self.server.lose.discard(self._flag())
            return
        self._answer(200, value)

    def _answer(self, status: int, enabled: bool) -> None:
        body = json.dumps({"enabled": enabled}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the screen of the tests."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        yield server
        server.shutdown()


class Shop:
    """A project with the example installed, and the command line over it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        project.make(folder)
        for block in blocks(PAGE, "python"):
            if name := block.option("file"):
                project.put(folder, name, block.text)
        # What pip would write for the page's pyproject.toml.
        project.put(folder, "acme_flags-1.0.dist-info/METADATA", "Name: acme-flags\nVersion: 1.0\n")
        entry = "[remediate.steps]\nacme-flags = acme_flags\n"
        project.put(folder, "acme_flags-1.0.dist-info/entry_points.txt", entry)
        (inventory,) = blocks(PAGE, "yaml")
        text = inventory.text.replace("flags.eu.example.org", f"127.0.0.1:{port}")
        project.put(folder, "inventory/hosts.yml", text.replace("flags.us.example.org", f"localhost:{port}"))
        key = folder / "carol"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        project.put(folder, "allowed_signers", f"carol@example.org {public}\n")
        settings = f'[people.alice]\nlogins = ["{getpass.getuser()}"]\n'
        settings += '[people.carol]\nprincipals = ["carol@example.org"]\nroles = ["change-manager"]\n'
        project.put(folder, "remediate.toml", settings)

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "FLAGS_TOKEN": TOKEN}
        argv = [sys.executable, "-c", "from remediate.cli.main import main; main()", *arguments]
        done = subprocess.run(
            argv, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert TOKEN not in done.stdout + done.stderr
        return done

    def planned(self) -> None:
        """A plan that is approved."""
        done = self("plan", "old-checkout-off", "--ticket", "CHG-1", "-o", "x.plan.json")
        assert done.returncode == 0, done.stderr
        assert self("approve", "x.plan.json", "--key", "carol").returncode == 0


@pytest.fixture
def shop(tmp_path: Path, service: Service) -> Shop:
    return Shop(tmp_path, service.server_port)


def test_from_plan_to_rollback(shop: Shop, service: Service) -> None:
    shop.planned()
    assert "+old-checkout = False" in shop("show", "x.plan.json").stdout
    assert set(service.flags.values()) == {True}
    done = shop("run", "x.plan.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(service.flags.values()) == {False}
    assert shop("rollback", "last").returncode == 4
    assert set(service.flags.values()) == {True}


def test_a_lost_reply_is_probed_and_the_run_goes_on(shop: Shop, service: Service) -> None:
    shop.planned()
    service.lose = {"/us/old-checkout"}
    done = shop("run", "x.plan.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in doubt, probed: it was applied" in done.stdout


def test_a_refusal_rolls_everything_back(shop: Shop, service: Service) -> None:
    shop.planned()
    service.refuse = {"/us/old-checkout"}
    done = shop("run", "x.plan.json")
    assert done.returncode == 4, done.stdout + done.stderr
    assert set(service.flags.values()) == {True}
