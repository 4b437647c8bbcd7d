"""A backup in a process of its own, which is killed while it compares. See test_database.py."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from remediate.adapters.backups import proof
from remediate.adapters.backups.database import DatabaseBackup
from remediate.adapters.clients import ClientPool
from remediate.model.step import Context, Token
from remediate.model.target import Target
from tests.adapters.databases.servers import PrivateSecrets


def wait_to_be_killed(*_: object) -> None:
    """Instead of the comparison."""
    print("comparing", flush=True)
    time.sleep(60)


def main() -> None:
    """Back up, and never end."""
    engine, database, folder, token, target = sys.argv[1:]
    run, step, attempt = token.split(".")
    vars(proof)["compare"] = wait_to_be_killed
    workspace = Path(folder) / "workspace"
    workspace.mkdir(mode=0o700, exist_ok=True)
    with ClientPool() as clients:
        context = Context(
            target=Target.model_validate_json(target),
            token=Token(run, step, int(attempt)),
            clients=clients,
            secrets=PrivateSecrets(),
            artefacts=Path(folder),
            workspace=workspace,
        )
        DatabaseBackup.model_validate({"engine": engine, "database": database}).apply(context)


if __name__ == "__main__":
    main()
